"""How far two maps of one picture point to the same part of it."""

from dataclasses import dataclass
from math import nan

import numpy as np

TOP_SHARE = 0.15
FLAT = 1e-6  # of the largest value: less is what float32 rounds


@dataclass(frozen=True, eq=False)
class Ranked:
    """A map of P pixels by the order of its values alone.

    ranks: (P,) float64 about their mean, equal values sharing theirs. top: (P,) float64 in [0, 1], which pixels are
    among the strongest; of pixels with the value at which the share ends each has the same part. Both None of a map
    that is the same everywhere, which has no order.
    """

    ranks: np.ndarray | None
    top: np.ndarray | None


def ranked(values: np.ndarray, share: float = TOP_SHARE) -> Ranked:
    """The order of a map (H, W). share: of the pixels that count as the strongest."""
    from scipy.stats import rankdata  # takes a moment to import

    flat = values.ravel()  # (P,)
    if np.ptp(flat) <= FLAT * np.abs(flat).max(initial=0):
        return Ranked(None, None)
    return Ranked(rankdata(flat) - (flat.size + 1) / 2, strongest(flat, share))


def strongest(values: np.ndarray, share: float = TOP_SHARE) -> np.ndarray:
    """(P,) in [0, 1], how far each of P values is among the `share` largest, to the nearest whole number of them.

    They sum to that number whatever values are equal, since those at the limit share what is left.
    """
    count = max(1, round(share * values.size))
    limit = np.partition(values, values.size - count)[values.size - count]
    above, at = values > limit, values == limit
    return above + at * ((count - above.sum()) / at.sum())


def rank_correlation(one: Ranked, other: Ranked) -> float:
    """Spearman's, in [-1, 1]; NaN where either map is the same everywhere."""
    if one.ranks is None or other.ranks is None:
        return nan
    return float(one.ranks @ other.ranks / np.sqrt((one.ranks @ one.ranks) * (other.ranks @ other.ranks)))


def iou(one: Ranked, other: Ranked) -> float:
    """Intersection over union of the strongest pixels, in [0, 1]; NaN where either map is the same everywhere.

    Pixels that belong in part count in part (min over max), which for sets is the usual one.
    """
    if one.top is None or other.top is None:
        return nan
    return float(np.minimum(one.top, other.top).sum() / np.maximum(one.top, other.top).sum())
