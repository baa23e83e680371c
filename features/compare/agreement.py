"""Who is right where the other is wrong: two networks on the same images, beyond what their accuracies imply."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from features.errors import FeatureError
from features.shares import Z_95


@dataclass(frozen=True)
class Agreement:
    """Two networks' answers to the same N images, counted.

    both, first_only, second_only, neither: images by who is right; they add up to N.
    same_class: images of which both say the same class; None where these are not the same classes.
    """

    both: int
    first_only: int
    second_only: int
    neither: int
    same_class: int | None = None

    @property
    def n_images(self) -> int:
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def difference(self) -> float:
        """The second's accuracy minus the first's."""
        return (self.second_only - self.first_only) / self.n_images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `difference`, as of `difference_interval`."""
        return difference_interval(self.first_only, self.second_only, self.n_images)

    @property
    def p_value(self) -> float:
        """Of McNemar's test that both are equally often right, as of `mcnemar`."""
        return mcnemar(self.first_only, self.second_only)

    @property
    def churn(self) -> float | None:
        """The share of images of which they say different classes."""
        return None if self.same_class is None else 1 - self.same_class / self.n_images

    @property
    def consistency(self) -> float:
        """The share of images on which both are right or both are wrong."""
        return (self.both + self.neither) / self.n_images

    @property
    def kappa(self) -> float:
        """Error consistency: `consistency` beyond what two independent networks of these accuracies have (Geirhos et
        al. 2020, arXiv:2006.16736): 1 for the same errors, 0 for chance. NaN where chance leaves nothing to be told:
        both always right, or both always wrong.
        """
        one, other = (self.both + self.first_only) / self.n_images, (self.both + self.second_only) / self.n_images
        expected = one * other + (1 - one) * (1 - other)
        return (self.consistency - expected) / (1 - expected) if expected < 1 else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        kappa = self.kappa
        return {
            "both": self.both, "first_only": self.first_only, "second_only": self.second_only, "neither": self.neither,
            "difference": self.difference, "interval": list(self.interval), "p_value": self.p_value,
            "churn": self.churn, "consistency": self.consistency, "kappa": kappa if kappa == kappa else None,
        }  # fmt: skip


def agreement(first: np.ndarray, second: np.ndarray, same_class: np.ndarray | None = None) -> Agreement:
    """Count who is right. first, second: (N,) bool, whether each is; same_class: (N,) bool or None.

    Raises FeatureError unless both are of the same images, and there are some.
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise FeatureError(
            f"Two networks are compared on the same images, at least one, but got {first.shape} and {second.shape} of "
            "them. Read both on one set."
        )
    return Agreement(
        both=int((first & second).sum()),
        first_only=int((first & ~second).sum()),
        second_only=int((~first & second).sum()),
        neither=int((~first & ~second).sum()),
        same_class=None if same_class is None else int(same_class.sum()),
    )


def mcnemar(first_only: int, second_only: int) -> float:
    """The two-sided p value that the images on which only one is right fall to either alike, by the binomial
    distribution (McNemar 1947, doi:10.1007/BF02295996). 1 where they differ on no image.
    """
    from scipy.stats import binomtest  # takes a moment to import

    pairs = first_only + second_only
    return float(binomtest(first_only, pairs).pvalue) if pairs else 1.0


def difference_interval(first_only: int, second_only: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """The interval of a difference of two accuracies on the same n images, half an image added to each of the four
    counts so that it stays sound where they hardly differ (Agresti & Min 2005, doi:10.1002/sim.1781). z: of the normal
    distribution, by default for 95 %.
    """
    one, other, total = first_only + 0.5, second_only + 0.5, n + 2
    centre = (other - one) / total
    spread = z * sqrt((one + other) - (other - one) ** 2 / total) / total
    return max(-1.0, centre - spread), min(1.0, centre + spread)
