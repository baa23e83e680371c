"""How well a channel's mean tells the images of one class from all others."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from features.errors import FeatureError

if TYPE_CHECKING:
    from features.channels.results import Layer

ENOUGH = 5  # images of a class in the median, for its AUROC to tell anything
Sums = tuple[np.ndarray, np.ndarray, np.ndarray]  # of K groups: images (K, 1), sums and sums of squares (K, C)


@dataclass(frozen=True, eq=False)
class Classes:
    """The K classes, or labels, of the images that were read; none where they have no labels.

    counts: (K,) int64, the images of each. members: (M, K) bool, which of them each sampled image has.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    members: np.ndarray

    @property
    def median_count(self) -> float:
        """Images of a class in the median, of those that occur; 0 without classes."""
        occurring = self.counts[self.counts > 0]
        return float(np.median(occurring)) if len(occurring) else 0.0

    @property
    def are_enough(self) -> bool:
        """Whether classes have so many images that AUROCs tell anything."""
        return self.median_count >= ENOUGH


@dataclass(frozen=True, eq=False)
class Selectivity:
    """How the images of each of K classes differ from all others at each of C channels, by their means over positions.

    difference: (K, C), the class's mean less the mean of all other images; low, high: its 95 % interval, by Welch's t
    for unequal variances, of each pair by itself. Exact over all images; NaN where the class or the rest have none, the
    interval where either has fewer than 2. auroc: (K, C) in [0, 1], how often an image of the class has the larger mean
    of two, one of each side, ties as half, over the sampled images; NaN where a side has none. All float64.
    """

    names: tuple[str, ...]
    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    auroc: np.ndarray

    def best(self) -> dict[str, Any]:
        """Of each channel the class with the highest AUROC: columns of a table, (C,) each.

        Of several the one with the largest difference; '' of a channel that tells no class from the rest.
        """
        known = np.where(np.isnan(self.auroc), -np.inf, self.auroc)
        highest = known.max(0)  # (C,)
        differences = np.where((known == highest) & ~np.isnan(self.difference), self.difference, -np.inf)
        best, channels = differences.argmax(0), np.arange(known.shape[1])
        numbers = {name: getattr(self, name)[best, channels] for name in ("difference", "low", "high", "auroc")}
        names = [self.names[number] if top > 0.5 else "" for number, top in zip(best, highest, strict=True)]
        return {"best_class": names, **numbers}

    def table(self, channel: int, classes: Classes) -> pd.DataFrame:
        """One row per class: class, images, difference, low, high, auroc; the highest AUROC first. classes: the same.

        Raises IndexError if there is no such channel.
        """
        numbers = {name: getattr(self, name)[:, channel] for name in ("difference", "low", "high", "auroc")}
        table = pd.DataFrame({"class": self.names, "images": classes.counts, **numbers})
        return table.sort_values("auroc", ascending=False, kind="stable", ignore_index=True)


def selectivity(layer: "Layer", classes: Classes) -> Selectivity:
    """How each class differs from the rest at every channel of a layer. Raises FeatureError without classes."""
    if not classes.names:
        raise FeatureError("These images have no labels, so no class can be told from others. Choose a labelled set.")
    total = layer.mean * layer.n_images, (layer.variance + np.square(layer.mean)) * layer.n_images  # (C,) each
    counts = classes.counts[:, None]  # (K, 1)
    own = counts, layer.class_sums, layer.class_squares
    rest = layer.n_images - counts, total[0] - layer.class_sums, total[1] - layer.class_squares
    return Selectivity(classes.names, *differences(own, rest), auroc(layer.means, classes.members))


def differences(own: Sums, rest: Sums) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The differences of K pairs of groups' means and their 95 % intervals, as of `Selectivity`: (K, C) each."""
    (mean, variance), (other_mean, other_variance) = _moments(*own), _moments(*rest)
    difference = mean - other_mean  # (K, C)
    margin = _welch_margin(variance, other_variance, own[0], rest[0])
    return difference, difference - margin, difference + margin


def _moments(counts: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and unbiased variance, (K, C); NaN where there are too few. counts: (K, 1)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(counts > 0, sums / counts, np.nan)
        spread = np.maximum(squares - counts * np.square(mean), 0)
        return mean, np.where(counts > 1, spread / (counts - 1), np.nan)


def _welch_margin(first: np.ndarray, second: np.ndarray, n: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Half the width of the 95 % interval of a difference of two means with variances (K, C) over n and m (K, 1)."""
    from scipy.stats import t  # a second to import, so only here

    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = first / n, second / m
        error = one + other
        free = np.square(error) / (np.square(one) / (n - 1) + np.square(other) / (m - 1))
    # Where nothing varies there are no degrees of freedom to tell, and the interval is the difference itself.
    return np.where(error == 0, 0, t.ppf(0.975, np.where(error > 0, free, np.nan)) * np.sqrt(error))


def auroc(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """The area under the ROC curve of every column of values (M, C) for every column of members (M, K): (K, C).

    By ranks (Mann & Whitney 1947, doi:10.1214/aoms/1177730491).
    """
    from scipy.stats import rankdata

    n = members.sum(0, dtype=np.float64)[:, None]  # (K, 1)
    rest = len(members) - n
    wins = members.T.astype(np.float64) @ rankdata(values, axis=0) - n * (n + 1) / 2  # (K, C)
    return np.divide(wins, n * rest, out=np.full(wins.shape, np.nan), where=(n > 0) & (rest > 0))
