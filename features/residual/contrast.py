"""Which blocks react differently to two classes, with the size of each difference and how sure it is."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from features.errors import FeatureError
from features.residual.statistics import BlockStatistics

QUANTITIES = ("ratio", "cosine", "sparsity")
LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Contrast:
    """A quantity of every block over the images of two classes of a set.

    quantity: one of QUANTITIES. means: (2, B) float64 over each class's images. counts: how many images each has.
    effect: (B,) Hedges' g, the difference of the means in units of the pooled standard deviation, corrected for small
        samples (Hedges 1981, doi:10.3102/10769986006002107); low, high: (B,) its 95 % confidence interval.
    p: (B,) of Welch's t test; q: (B,) corrected for the number of blocks (Benjamini & Hochberg 1995,
        doi:10.1111/j.2517-6161.1995.tb02031.x): of the blocks with q < 0.05, 5 % are expected to be false alarms.
    NaN where the quantity is not defined or does not vary.
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
    if min(len(first), len(second)) < 3:
        raise FeatureError(
            f"{names[one]} has {len(first)} images and {names[other]} has {len(second)}. "
            "Compare classes with at least 3."
        )
    effect, error = _hedges(first, second)
    p = _welch(first, second)
    return Contrast(
        blocks=statistics.blocks,
        stages=statistics.stages,
        classes=(names[one], names[other]),
        counts=(len(first), len(second)),
        quantity=quantity,
        means=np.stack([first.mean(0), second.mean(0)]),
        effect=effect,
        low=effect - 1.96 * error,
        high=effect + 1.96 * error,
        p=p,
        q=_corrected(p),
    )


def _hedges(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B,) Hedges' g of (N, B) and (M, B), and its standard error (Hedges & Olkin 1985)."""
    n, m = len(first), len(second)
    free = n + m - 2
    pooled = np.sqrt(((n - 1) * first.var(0, ddof=1) + (m - 1) * second.var(0, ddof=1)) / free)
    difference = first.mean(0) - second.mean(0)
    g = np.divide(difference, pooled, out=np.full(len(pooled), np.nan), where=pooled > 0) * (1 - 3 / (4 * free - 1))
    return g, np.sqrt((n + m) / (n * m) + np.square(g) / (2 * (n + m)))


def _welch(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    varies = (first.var(0) > 0) & (second.var(0) > 0)  # False for NaN
    p = np.full(first.shape[1], np.nan)
    if varies.any():
        p[varies] = stats.ttest_ind(first[:, varies], second[:, varies], equal_var=False).pvalue
    return p


def _corrected(p: np.ndarray) -> np.ndarray:
    known = ~np.isnan(p)
    q = np.full(len(p), np.nan)
    if known.any():
        q[known] = stats.false_discovery_control(p[known])
    return q
