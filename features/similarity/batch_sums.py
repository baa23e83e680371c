"""Sums of HSIC over batches of images, for every pair of layers at once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.similarity import hsic
from features.similarity.table import LEVEL

GROUPS = 128  # that batches are summed in, for intervals: as many batches may come as like


class Kernels:
    """The linear kernels of a batch of n images at every layer: of R layers of one network and C of another."""

    def __init__(self, batch: list[np.ndarray], n_left: int, itself: bool) -> None:
        """batch: (n, D) of each layer. n_left: how many are the first network's. itself: compared with itself."""
        self.n = len(batch[0])
        self.n_left, self._first_right = n_left, 0 if itself else n_left
        self.means = [rows.mean(axis=0, dtype=np.float64) for rows in batch]
        self.kernels = np.empty((len(batch), self.n, self.n))
        for kernel, rows in zip(self.kernels, batch, strict=True):
            values = hsic.centred(rows)  # (n, D)
            np.matmul(values, values.T, out=kernel)
        self.lengths = np.einsum("lii->li", self.kernels)  # (L, n)
        self.totals = self.lengths.sum(axis=1)  # (L,)

    @property
    def shape(self) -> tuple[int, int]:
        """(R, C)."""
        return self.n_left, len(self.kernels) - self._first_right

    def pairs(self, order: np.ndarray | None = None) -> np.ndarray:
        """(R, C) HSIC_1 of every pair of layers; order: (n,), the second network's images permuted."""
        rows, columns = slice(self.n_left), slice(self._first_right, None)
        kernels, lengths = self.kernels[columns], self.lengths[columns]
        if order is not None:
            kernels, lengths = kernels[:, order[:, None], order], lengths[:, order]
        overlap = self.kernels[rows].reshape(self.n_left, -1) @ kernels.reshape(len(kernels), -1).T  # (R, C)
        paired = self.lengths[rows] @ lengths.T  # (R, C)
        return hsic.unbiased(overlap, paired, np.outer(self.totals[rows], self.totals[columns]), self.n)

    @cached_property
    def own(self) -> np.ndarray:
        """(L,) HSIC_1 of every layer with itself."""
        overlap = np.einsum("lij,lij->l", self.kernels, self.kernels)
        return hsic.unbiased(overlap, np.square(self.lengths).sum(axis=1), self.totals**2, self.n)

    def both_own(self) -> tuple[np.ndarray, np.ndarray]:
        """`own` of the rows (R,) and of the columns (C,)."""
        return self.own[: self.n_left], self.own[self._first_right :]


@dataclass(frozen=True, eq=False)
class _Between:
    """How a layer's batch means lie, about the first batch's."""

    origin: np.ndarray  # (D,)
    sum: np.ndarray  # (D,), weighted by images
    squares: float = 0.0
    within: float = 0.0

    def plus(self, mean: np.ndarray, within: float, n: int) -> "_Between":
        moved = mean - self.origin
        squares = self.squares + n * float(moved @ moved)
        return _Between(self.origin, self.sum + n * moved, squares, self.within + within)

    def ratio(self, n: int, n_batches: int) -> float:
        """The variance between batches over that within, 1 in the mean if batches are random."""
        if n_batches < 2 or self.within <= 0:
            return 1.0
        between = self.squares - float(self.sum @ self.sum) / n
        return (between / (n_batches - 1)) / (self.within / (n - n_batches))


class Sums:
    """HSIC_1 of batches, each weighted by its images, so that a short batch counts for as much as it holds."""

    def __init__(self, shape: tuple[int, int], permutations: int) -> None:
        n_rows, n_columns = shape
        self.n_images = self.n_batches = 0
        self.pairs = np.zeros((GROUPS, n_rows, n_columns))
        self.rows, self.columns = np.zeros((GROUPS, n_rows)), np.zeros((GROUPS, n_columns))
        self.shuffled = np.zeros((permutations, n_rows, n_columns))
        self.between: list[_Between] = []

    def plus(self, kernels: Kernels, seed: int) -> "Sums":
        """These and a batch's, as new ones. seed: of the permutations, which differ from batch to batch."""
        new = Sums(kernels.shape, len(self.shuffled))
        new.n_images, new.n_batches = self.n_images + kernels.n, self.n_batches + 1
        new.pairs, new.rows, new.columns = self.pairs.copy(), self.rows.copy(), self.columns.copy()
        group = self.n_batches % GROUPS
        own_rows, own_columns = kernels.both_own()
        new.pairs[group] += kernels.n * kernels.pairs()
        new.rows[group] += kernels.n * own_rows
        new.columns[group] += kernels.n * own_columns
        rng = np.random.default_rng([seed, self.n_batches])
        more = [kernels.pairs(rng.permutation(kernels.n)) for _ in self.shuffled]
        new.shuffled = self.shuffled + kernels.n * np.array(more).reshape(self.shuffled.shape)
        before = self.between or [_Between(mean, np.zeros_like(mean)) for mean in kernels.means]
        new.between = [
            old.plus(mean, within, kernels.n)
            for old, mean, within in zip(before, kernels.means, kernels.totals.tolist(), strict=True)
        ]
        return new

    def cka(self) -> np.ndarray:
        """(R, C) of all batches; NaN where a layer does not vary."""
        return ratios(self.pairs.sum(0), self.rows.sum(0), self.columns.sum(0))

    def shuffled_cka(self) -> np.ndarray:
        """(P, R, C) with the second network's images permuted within batches."""
        return ratios(self.shuffled, self.rows.sum(0), self.columns.sum(0))

    def interval(self, bootstraps: int, seed: int, least: int) -> tuple[np.ndarray, np.ndarray]:
        """The 95 % interval (R, C) each, by batches drawn with replacement; NaN for fewer than `least` batches.

        Whole batches are drawn, since two copies of an image in one batch would be a pair that is alike everywhere.
        """
        n_groups = min(self.n_batches, GROUPS)
        if n_groups < least or not bootstraps:
            return np.full(self.pairs.shape[1:], np.nan), np.full(self.pairs.shape[1:], np.nan)
        drawn = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), bootstraps)
        pairs = np.tensordot(drawn, self.pairs[:n_groups], 1)  # (S, R, C)
        values = ratios(pairs, drawn @ self.rows[:n_groups], drawn @ self.columns[:n_groups])
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        return low, high

    def spread(self) -> float:
        """The largest `ratio` of variance between batches of all layers."""
        return max(between.ratio(self.n_images, self.n_batches) for between in self.between)


def ratios(pairs: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """HSIC (..., R, C) over the roots of those of each with itself, (..., R) and (..., C); NaN where one is zero."""
    sizes = np.sqrt(np.maximum(rows, 0))[..., :, None] * np.sqrt(np.maximum(columns, 0))[..., None, :]
    sizes = np.broadcast_to(sizes, pairs.shape)
    return np.divide(pairs, sizes, out=np.full(pairs.shape, np.nan), where=sizes > 0)
