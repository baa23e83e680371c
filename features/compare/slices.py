"""Where two networks differ: groups of images in which one is right much more often than the other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from features.compare.agreement import Agreement, agreement, difference_interval

LEAST_IMAGES = 10  # of a slice
LEVEL = 0.05
QUANTILES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # into which numbers are cut
COLUMNS = ("by", "name", "images", "first", "second", "difference", "low", "high", "p_value")  # of a table of slices
FEW_VALUES = 12  # of a number, which then are groups by themselves


@dataclass(frozen=True, eq=False)
class Slice:
    """Some images that have something in common.

    by, name: what they share, such as 'label' and 'cat'. rows: (R,) int64, their numbers.
    """

    by: str
    name: str
    rows: np.ndarray


@dataclass(frozen=True, eq=False)
class Compared:
    """Two networks on a slice.

    interval: of the second's accuracy minus the first's, so wide that all slices' intervals hold at once 95 times of a
    hundred (Bonferroni). p_value: of McNemar's test, corrected for the number of slices (Holm 1979).
    """

    slice: Slice
    agreement: Agreement
    interval: tuple[float, float]
    p_value: float

    @property
    def differs(self) -> bool:
        """Whether the difference is more than what chance brings about among so many slices."""
        return self.p_value < LEVEL

    def as_dict(self) -> dict[str, Any]:
        """As a row of a table."""
        told = self.agreement
        return {
            "by": self.slice.by, "name": self.slice.name, "images": told.n_images,
            "first": (told.both + told.first_only) / told.n_images,
            "second": (told.both + told.second_only) / told.n_images,
            "difference": told.difference, "low": self.interval[0], "high": self.interval[1], "p_value": self.p_value,
        }  # fmt: skip


def slices(columns: Mapping[str, np.ndarray], least: int = LEAST_IMAGES) -> list[Slice]:
    """The slices of N images by what is known of them: name -> (N,) texts, truth values or numbers.

    A number of many values is cut at its quintiles. Slices of fewer than `least` images, or of all, tell nothing and
    are left out, as are images of which a column knows nothing.
    """
    return [
        each
        for by, values in columns.items()
        for each in _of_column(by, values)
        if least <= len(each.rows) < len(values)
    ]


def _of_column(by: str, values: np.ndarray) -> Iterable[Slice]:
    if values.dtype.kind == "f" or (values.dtype.kind in "iu" and len(np.unique(values)) > FEW_VALUES):
        yield from _of_numbers(by, values.astype(np.float64))
        return
    known = np.flatnonzero([value is not None for value in values])
    if not len(known):
        return
    names, groups = np.unique(np.array([str(values[row]) for row in known]), return_inverse=True)
    order = np.argsort(groups, kind="stable")
    ends = np.cumsum(np.bincount(groups, minlength=len(names)))
    for name, rows in zip(names.tolist(), np.split(known[order], ends[:-1]), strict=True):
        yield Slice(by, name, rows)


def _of_numbers(by: str, values: np.ndarray) -> Iterable[Slice]:
    known = values[np.isfinite(values)]
    if not len(known):
        return
    edges = np.unique(np.quantile(known, QUANTILES))
    for number, (low, high) in enumerate(pairwise(edges)):
        last = number == len(edges) - 2
        inside = (values >= low) & ((values <= high) if last else (values < high))
        yield Slice(by, f"{low:.4g} to {high:.4g}", np.flatnonzero(inside))


def compared(chosen: Sequence[Slice], first: np.ndarray, second: np.ndarray) -> list[Compared]:
    """Two networks on every slice, those first that differ most surely.

    first, second: (N,) bool, whether each is right of every image.
    """
    from scipy.stats import norm  # takes a moment to import

    counted = [agreement(first[each.rows], second[each.rows]) for each in chosen]
    z = float(norm.isf(LEVEL / 2 / max(1, len(chosen))))
    corrected = holm([each.p_value for each in counted])
    told = [
        Compared(each, count, difference_interval(count.first_only, count.second_only, count.n_images, z), p)
        for each, count, p in zip(chosen, counted, corrected, strict=True)
    ]
    return sorted(told, key=lambda each: (each.p_value, -abs(each.agreement.difference)))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number, so that one true difference is seen wrongly in one of twenty families at
    0.05 (Holm 1979, https://www.jstor.org/stable/4615733)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    raised = np.minimum(1, np.maximum.accumulate(np.asarray(p_values, dtype=float)[order] * factors))
    corrected = np.empty(len(p_values))
    corrected[order] = raised
    return corrected.tolist()
