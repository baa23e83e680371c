"""How well images of one label are retrieved by features: recall at k and mean average precision, leaving one out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.errors import FeatureError
from features.neighbours import need_finite
from features.progress import Progress, Task
from features.shares import Share

RANKS = (1, 5, 10)
ALL_QUERIES = 20_000  # images, above which a sample of them is asked for their neighbours among all
SAMPLED = 5000
BLOCK_VALUES = 2**22  # distances at a time: 32 MiB in float64
NOTHING = 1e-12  # of the squared lengths, below which a squared distance is the rounding of a product


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Of Q queries among N images, each left out of its own answers; images whose labels nobody shares ask nothing.

    recall: k -> share of queries among whose k nearest others one has its label, of RANKS.
    average_precision: (Q,) float64 in [0, 1], of the others by distance; equal distances, to six digits, are one step.
    """

    recall: Mapping[int, Share]
    average_precision: np.ndarray
    n_images: int

    @property
    def mean_average_precision(self) -> float:
        return float(self.average_precision.mean())

    @property
    def n_queries(self) -> int:
        return len(self.average_precision)

    def as_dict(self) -> dict[str, Any]:
        return {f"recall_at_{k}": share.as_dict() for k, share in self.recall.items()} | {
            "mean_average_precision": self.mean_average_precision,
            "queries": self.n_queries,
            "images": self.n_images,
        }


def retrieval(stages: Mapping[str, np.ndarray], labels: np.ndarray, seed: int = 0) -> Task[dict[str, Retrieval]]:
    """As `of_stage`, of the features (N, D) of every stage."""
    results = {}
    for name, features in stages.items():
        results[name] = yield from of_stage(features, labels, seed, name)
    return results


def of_stage(features: np.ndarray, labels: np.ndarray, seed: int = 0, note: str = "") -> Task[Retrieval]:
    """Retrieve by Euclidean distance of features (N, D).

    labels: (N,) int64, or (N, K) bool where images have any number; then sharing one is enough. seed: of the queries
    above 20,000 images. Raises FeatureError if no two images share a label, or if values are not finite.
    """
    need_finite(features)
    queries = _queries(labels, seed)
    if not len(queries):
        raise FeatureError("No two of these images have the same label, so none can be retrieved. Choose more images.")
    centre = features.mean(axis=0, dtype=np.float64)  # (D,), since products far from the origin round badly
    lengths = _lengths(features, centre)  # (N,)
    ranks, precision = np.empty(len(queries), np.int64), np.empty(len(queries))
    size = max(1, BLOCK_VALUES // len(features))
    for start in range(0, len(queries), size):
        yield Progress(start, len(queries), "image", f"retrieval {note}".strip())
        rows = queries[start : start + size]
        squares = _squares(features, centre, lengths, rows)  # (R, N)
        same = _same(labels, rows)  # (R, N) bool
        for place, row in enumerate(rows, start):
            ranks[place], precision[place] = _scored(squares[place - start], same[place - start], row)
    recall = {k: Share(int((ranks < k).sum()), len(queries)) for k in RANKS}
    return Retrieval(recall, precision, len(features))


def _queries(labels: np.ndarray, seed: int) -> np.ndarray:
    """The images (Q,) that share a label with another, ascending; of very many a sample."""
    able = np.bincount(labels)[labels] > 1 if labels.ndim == 1 else (labels & (labels.sum(0) > 1)).any(1)  # (N,)
    rows = np.flatnonzero(able)
    if len(labels) > ALL_QUERIES:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:SAMPLED])
    return rows


def _same(labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(R, N) bool, whether images share a label with some rows (R,)."""
    if labels.ndim == 1:
        return labels[rows][:, None] == labels
    return labels[rows].astype(np.float32) @ labels.T.astype(np.float32) > 0


def _lengths(features: np.ndarray, centre: np.ndarray) -> np.ndarray:
    parts = [np.square(features[start : start + 4096] - centre).sum(axis=1) for start in range(0, len(features), 4096)]
    return np.concatenate(parts)


def _squares(features: np.ndarray, centre: np.ndarray, lengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Squared distances (R, N) float32 of some rows (R,) to all; 0 between copies."""
    asked = features[rows] - centre  # (R, D) float64
    squares = np.empty((len(rows), len(features)), np.float32)
    for start in range(0, len(features), 4096):
        tile = slice(start, start + 4096)
        sums = lengths[rows][:, None] + lengths[tile]
        exact = sums - 2 * (asked @ (features[tile] - centre).T)
        exact[exact < NOTHING * sums] = 0
        squares[:, tile] = exact
    return squares


def _scored(squares: np.ndarray, same: np.ndarray, row: int) -> tuple[int, float]:
    """How many others come before the nearest with the query's label, ties by number; and its average precision.

    squares, same: (N,), of a query to all, changed: itself, at `row`, is left out.
    """
    squares[row], same[row] = np.inf, False
    wanted = np.sort(squares[same])
    ordered = np.sort(squares)
    nearest = wanted[0]
    first = int(np.argmax(same & (squares == nearest)))
    rank = int(np.searchsorted(ordered, nearest) + (squares[:first] == nearest).sum())
    all_within = np.searchsorted(ordered, wanted, side="right")
    return rank, float((np.searchsorted(wanted, wanted, side="right") / all_within).mean())
