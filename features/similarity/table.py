"""How alike the layers of two networks are, as one table of numbers with what chance gives."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.results import Provenance

LEVEL = 0.95  # of intervals


@dataclass(frozen=True, eq=False)
class Similarity:
    """Every layer of one network compared with every layer of another, or of itself, by one measure.

    measure: its name in MEASURES. rows, columns: (R,), (C,) the layers' names, in the order of depth.
    values: (R, C) float64 in the measure's range; never clipped, so that unbiased ones may lie below 0. NaN where a
        layer is the same for all images.
    low, high: (R, C) float64, the 95 % interval, by resampling images; NaN where it was not computed.
    chance: (R, C) float64, the mean over permutations of one network's images; chance_limit: what 95 % of these do not
        exceed (of a distance: undercut). p_values: (R, C), the share of permutations at least as alike, itself counted,
        so at least 1 / (permutations + 1). NaN without permutations.
    n_images: of which it was computed. spread: how much more batches differ than random ones do, 1 if not; None if
        nothing was batched. left, right: what made the features.
    """

    measure: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    chance_limit: np.ndarray
    p_values: np.ndarray
    n_images: int
    left: Provenance
    right: Provenance
    spread: "Spread | None" = None

    def of(self, rows: Sequence[str], columns: Sequence[str]) -> "Similarity":
        """Some of the layers alone, by their names."""
        there = np.ix_([self.rows.index(name) for name in rows], [self.columns.index(name) for name in columns])
        tables = ("values", "low", "high", "chance", "chance_limit", "p_values")
        return replace(
            self, rows=tuple(rows), columns=tuple(columns), **{name: getattr(self, name)[there] for name in tables}
        )

    @property
    def row_depths(self) -> np.ndarray:
        """(R,) relative depth in [0, 1] of each row, for networks of different lengths."""
        return relative_depths(len(self.rows))

    @property
    def column_depths(self) -> np.ndarray:
        """(C,) relative depth in [0, 1] of each column."""
        return relative_depths(len(self.columns))


@dataclass(frozen=True)
class Spread:
    """Whether batches were random samples of the images, without which minibatch CKA is of what lies within batches.

    ratio: variance between batches over that within, the largest of all layers: about 1 for images in random order, up
    to the batch's size for a set sorted by class. n_batches: of how many.
    """

    ratio: float
    n_batches: int

    @property
    def is_random(self) -> bool:
        """Whether random order may give this ratio: within five standard errors, as for a layer of one channel."""
        return self.n_batches < 2 or self.ratio <= 1 + 5 * float(np.sqrt(2 / (self.n_batches - 1)))


def relative_depths(n_layers: int) -> np.ndarray:
    """(n,) from 0, the first, to 1, the last."""
    return np.linspace(0, 1, n_layers) if n_layers > 1 else np.zeros(n_layers)


def chance_of(values: np.ndarray, shuffled: np.ndarray, is_distance: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, limit and p-values, (R, C) each, of values (R, C) by those of P permutations (P, R, C)."""
    if not len(shuffled):
        return tuple(np.full(values.shape, np.nan) for _ in range(3))  # type: ignore[return-value]
    alike = (shuffled <= values) if is_distance else (shuffled >= values)
    p_values = (1 + alike.sum(axis=0)) / (1 + len(shuffled))
    limit = np.quantile(shuffled, 0.05 if is_distance else 0.95, axis=0)
    return shuffled.mean(axis=0), limit, np.where(np.isnan(values), np.nan, p_values)
