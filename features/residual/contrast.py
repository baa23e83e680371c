"""Which blocks react differently to two classes, with the size of each difference and how sure it is."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.errors import FeatureError
from features.residual.statistics import BlockStatistics

QUANTITIES = ("ratio", "cosine", "sparsity")
LEVEL = 0.05
LEAST = 3  # images of a class


@dataclass(frozen=True, eq=False)
class Contrast:
    """A quantity of every block over the images of two classes of a set.

    quantity: one of QUANTITIES. means: (2, B) float64 over each class's images. counts: how many images each has.
    effect: (B,) Hedges' g, the difference of the means in units of the pooled standard deviation, corrected for small
        samples (Hedges 1981, doi:10.3102/10769986006002107); low, high: (B,) its 95 % confidence interval.
    p: (B,) of Welch's t test; q: (B,) corrected for the number of blocks (Benjamini & Hochberg 1995,
        doi:10.1111/j.2517-6161.1995.tb02031.x): of the blocks with q < 0.05, 5 % are expected to be false alarms.
    Images for which the quantity is not defined do not count; NaN where it does not vary or fewer than 3 are left.
    """

    blocks: tuple[str, ...]
    stages: tuple[str, ...]
    classes: tuple[str, str]
    counts: tuple[int, int]
    quantity: str
    means: np.ndarray
    effect: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    q: np.ndarray

    def table(self) -> pd.DataFrame:
        """One row per block."""
        one, other = self.classes
        return pd.DataFrame(
            {
                "stage": self.stages,
                "block": self.blocks,
                f"{self.quantity}_mean, {one}": self.means[0],
                f"{self.quantity}_mean, {other}": self.means[1],
                "hedges_g": self.effect,
                "g_low": self.low,
                "g_high": self.high,
                "p": self.p,
                "q": self.q,
            }
        )


def contrast(statistics: BlockStatistics, one: int, other: int, quantity: str = "ratio") -> Contrast:
    """Compare two classes of a set, by their numbers in `class_names`, on one number of each image and block.

    Raises FeatureError without labels, for classes or quantities that do not exist, and for fewer than 3 images.
    """
    names = statistics.class_names
    if statistics.labels is None:
        raise FeatureError("These images have no labels, so there are no classes to compare.")
    if quantity not in QUANTITIES:
        raise FeatureError(f"The quantity is {quantity!r}. Wanted one of {', '.join(QUANTITIES)}.")
    if not {one, other} <= set(range(len(names))) or one == other:
        raise FeatureError(f"Wanted two different classes from 0 to {len(names) - 1}, but got {one} and {other}.")
    values = {"ratio": statistics.ratios, "cosine": statistics.cosines, "sparsity": statistics.sparsities}[quantity]
    first, second = (values[statistics.labels == number].astype(np.float64) for number in (one, other))
    if min(len(first), len(second)) < LEAST:
        raise FeatureError(
            f"{names[one]} has {len(first)} images and {names[other]} has {len(second)}. "
            f"Compare classes with at least {LEAST}."
        )
    columns = [(one[~np.isnan(one)], two[~np.isnan(two)]) for one, two in zip(first.T, second.T, strict=True)]
    effect, error, p = np.array([_compared(*column) for column in columns]).T
    return Contrast(
        blocks=statistics.blocks,
        stages=statistics.stages,
        classes=(names[one], names[other]),
        counts=(len(first), len(second)),
        quantity=quantity,
        means=np.array([[values.mean() if len(values) else np.nan for values in column] for column in columns]).T,
        effect=effect,
        low=effect - 1.96 * error,
        high=effect + 1.96 * error,
        p=p,
        q=_corrected(p),
    )


def _compared(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Hedges' g of two samples, its standard error (Hedges & Olkin 1985) and Welch's p; NaN where nothing varies."""
    from scipy.stats import ttest_ind  # a second to import, so only here

    n, m = len(first), len(second)
    if min(n, m) < LEAST or not (first.var() > 0 and second.var() > 0):
        return float("nan"), float("nan"), float("nan")
    free = n + m - 2
    pooled = np.sqrt(((n - 1) * first.var(ddof=1) + (m - 1) * second.var(ddof=1)) / free)
    g = float((first.mean() - second.mean()) / pooled * (1 - 3 / (4 * free - 1)))
    error = float(np.sqrt((n + m) / (n * m) + g**2 / (2 * (n + m))))
    return g, error, float(ttest_ind(first, second, equal_var=False).pvalue)


def _corrected(p: np.ndarray) -> np.ndarray:
    from scipy.stats import false_discovery_control

    known = ~np.isnan(p)
    q = np.full(len(p), np.nan)
    if known.any():
        q[known] = false_discovery_control(p[known])
    return q
