"""Means over images with the interval in which the true mean may lie."""

from dataclasses import dataclass
from math import isnan, nan, sqrt

import numpy as np


@dataclass(frozen=True)
class Mean:
    """The mean of n values and its 95 % interval. NaN where nothing tells it: all of no values, low and high of one."""

    value: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float | None]:
        """As JSON can hold it."""
        return {name: or_none(getattr(self, name)) for name in ("value", "low", "high")} | {"n": self.n}


def mean_of(values: np.ndarray, least: float, most: float) -> Mean:
    """The mean of those values (N,) that are no NaN, with Student's interval, cut at the values that there can be."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Mean(nan, nan, nan, 0)
    mean = float(known.mean())
    if len(known) == 1:
        return Mean(mean, nan, nan, 1)
    from scipy.stats import t  # takes a moment to import

    spread = float(t.ppf(0.975, len(known) - 1)) * float(known.std(ddof=1)) / sqrt(len(known))
    return Mean(mean, max(least, mean - spread), min(most, mean + spread), len(known))


def or_none(value: float) -> float | None:
    """A number as JSON can hold it: None for NaN."""
    return None if isnan(value) else float(value)
