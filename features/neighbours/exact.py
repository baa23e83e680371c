"""The exact nearest rows of features, each found by itself: what is answered of a row depends on that row alone."""

from collections.abc import Iterator

import numpy as np

QUERIES, TILE = 1024, 4096  # of one matrix product: 16 MB of distances
CENTRED_ROWS = 1000  # of which the middle is taken
SPARE = 16  # candidates beyond those wanted, so that rounding decides about none of these


def share_of_rounding(width: int) -> np.float32:
    """How far a float32 sum of so many rounded products may be off, as a share of the product of lengths."""
    return np.float32((width + 32) * np.finfo(np.float32).eps)


class Exact:
    """The exact nearest among N rows of features, in the Euclidean distance, ties by number.

    A matrix product in float32 finds candidates, whose distances are taken anew in float64 from the differences. A
    bound on the product's rounding says whether a row beyond the candidates might be nearer; if so, every row within
    the bound is measured. So neither how many rows are asked about at once nor the number of threads changes an answer.
    No second copy of the features is made, and nothing of the size N x N.
    """

    def __init__(self, features: np.ndarray) -> None:
        """features: (N, D) float32, finite."""
        self.features = features
        # From the middle of most, since distances far from the origin would drown in the rounding of the product; no
        # mean, which a single far row draws away from all others.
        few = features[:: max(1, len(features) // CENTRED_ROWS)]
        self.centre = np.median(few, axis=0).astype(np.float32)  # (D,)

    def nearest(self, rows: np.ndarray, k: int, own: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of some rows (M, D), from near to far.

        own: (M,) the number of each among the features, which then comes first whatever copies it has; None for others.
        k is from 1 to N. Returns indices (M, k) int64 and distances (M, k) float64.
        """
        indices, distances = np.empty((len(rows), k), np.int64), np.empty((len(rows), k))
        for start in range(0, len(rows), QUERIES):
            block = rows[start : start + QUERIES]
            numbers = np.full(len(block), -1) if own is None else own[start : start + QUERIES]
            answers = self._of_block(block, k, numbers)
            for row, (nearest, far) in enumerate(answers, start):
                indices[row], distances[row] = nearest, far
        return indices, distances

    def _of_block(self, rows: np.ndarray, k: int, own: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        chosen, squares = self._candidates(rows, min(k + SPARE, len(self.features)))  # (M, K) each
        limits = np.empty(len(rows))
        answers = []
        for row, candidates in enumerate(chosen):
            nearest, far = self._measured(rows[row], np.sort(candidates), k, own[row])
            answers.append((nearest, far))
            limits[row] = far[-1] ** 2
        # All others are at least as far as the last candidate might be.
        doubtful = np.flatnonzero(limits >= squares.max(axis=1))
        if len(doubtful) and chosen.shape[1] < len(self.features):
            for row, candidates in zip(doubtful.tolist(), self._within(rows[doubtful], limits[doubtful]), strict=True):
                answers[row] = self._measured(rows[row], candidates, k, own[row])
        return iter(answers)

    def _measured(self, row: np.ndarray, candidates: np.ndarray, k: int, own: int) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest (k,) of candidates, which ascend, and their distances (k,)."""
        distances = np.empty(len(candidates))
        for start in range(0, len(candidates), TILE):
            few = self.features[candidates[start : start + TILE]].astype(np.float64)  # (C, D)
            distances[start : start + TILE] = np.sqrt(np.square(few - row).sum(axis=1))
        order = np.argsort(np.where(candidates == own, -1, distances), kind="stable")[:k]
        return candidates[order], distances[order]

    def _tiles(self, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """What squared distances of rows (M, D) to some of the features after another are at least: (M, T).

        The product's, less how far a sum of D rounded products may be off: by a share of (a + b)^2, where a and b are
        the two rows' distances from the centre. So one far row makes no distance between others doubtful.
        """
        share = share_of_rounding(self.features.shape[1])
        rows = rows - self.centre
        squared = np.square(rows).sum(axis=1)  # (M,)
        lengths = np.sqrt(squared)
        for start in range(0, len(self.features), TILE):
            tile = self.features[start : start + TILE] - self.centre  # (T, D)
            others = np.square(tile).sum(axis=1)  # (T,)
            least = rows @ tile.T  # (M, T)
            least += (share * lengths)[:, None] * np.sqrt(others)
            least *= -2
            least += (squared * (1 - share))[:, None]
            least += others * (1 - share)
            yield start, least

    def _candidates(self, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest (M, count) by the product, in no order, and what their squared distances are at least."""
        indices, best = np.empty((len(rows), 0), np.int64), np.empty((len(rows), 0), np.float32)
        for start, squares in self._tiles(rows):
            if squares.shape[1] > count:
                near = np.argpartition(squares, count - 1, axis=1)[:, :count]  # (M, count)
                squares = np.take_along_axis(squares, near, 1)
            else:
                near = np.broadcast_to(np.arange(squares.shape[1]), squares.shape)
            indices, best = np.concatenate([indices, near + start], 1), np.concatenate([best, squares], 1)
            if best.shape[1] > count:
                kept = np.argpartition(best, count - 1, axis=1)[:, :count]
                indices, best = np.take_along_axis(indices, kept, 1), np.take_along_axis(best, kept, 1)
        return indices, best

    def _within(self, rows: np.ndarray, limits: np.ndarray) -> list[np.ndarray]:
        """For each row the numbers of all features that may be within its limit, a squared distance, ascending."""
        parts: list[list[np.ndarray]] = [[] for _ in rows]
        for start, least in self._tiles(rows):
            for row, near in enumerate(least <= limits[:, None]):
                parts[row].append(np.flatnonzero(near) + start)
        return [np.concatenate(part) for part in parts]
