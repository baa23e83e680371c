"""How well one number tells two sets of images apart: the area below the ROC curve, and the errors at one threshold."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from features.shares import Z_95, Share

KEPT = 0.95  # of the known images, that the threshold leaves below it


@dataclass(frozen=True)
class Separating:
    """auroc: the probability that one of the others has more than a known image, half of equal pairs counted.

    interval: of 95 % (Newcombe 2006, doi:10.1002/sim.2324, his method 5). threshold: what at least 95 % of known images
    do not exceed; accepted: the others that do not either, the false positive rate at 95 % true positive rate.
    """

    auroc: float
    interval: tuple[float, float]
    threshold: float
    accepted: Share

    def as_dict(self) -> dict[str, Any]:
        return {
            "auroc": self.auroc,
            "auroc_interval": list(self.interval),
            "fpr_at_95_tpr": self.accepted.as_dict(),
        }


def separating(known: np.ndarray, others: np.ndarray) -> Separating:
    """Of a number of N known images (N,) and M others (M,), high for what is new; at least one each."""
    auroc = area(known, others)
    threshold = float(np.sort(known)[ceil(KEPT * len(known)) - 1])
    accepted = Share(int((others <= threshold).sum()), len(others))
    return Separating(auroc, area_interval(auroc, len(known), len(others)), threshold, accepted)


def area(known: np.ndarray, others: np.ndarray) -> float:
    """The share of pairs of which the other has more than the known, and half of those that are equal."""
    ordered = np.sort(known)
    less, not_more = np.searchsorted(ordered, others, "left"), np.searchsorted(ordered, others, "right")  # (M,) each
    return float((less + not_more).sum() / (2 * len(known) * len(others)))


def area_interval(auroc: float, n_known: int, n_others: int) -> tuple[float, float]:
    """Where the true area may lie: those from which this one is at most 1.96 of their own standard errors away.

    Unlike one standard error around the area found, it has a width at 0 and 1 too.
    """
    # The distance falls and rises without a turn on each side, so that halving finds its crossing.
    return (
        _crossing(auroc, 0.0, n_known, n_others),
        _crossing(auroc, 1.0, n_known, n_others),
    )


def _crossing(auroc: float, end: float, n_known: int, n_others: int) -> float:
    near, far = auroc, end
    for _ in range(60):
        middle = (near + far) / 2
        if abs(middle - auroc) <= Z_95 * _error(middle, n_known, n_others):
            near = middle
        else:
            far = middle
    return near


def _error(area: float, n_known: int, n_others: int) -> float:
    """The standard error of the area by Hanley & McNeil 1982, the mean number weighing its terms."""
    more = (n_known + n_others) / 2 - 1
    factor = 1 + more * ((1 - area) / (2 - area) + area / (1 + area))
    return float(np.sqrt(area * (1 - area) * factor / (n_known * n_others)))
