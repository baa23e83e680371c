"""Where new images lie on a map that is there, none of whose points moves."""

from dataclasses import dataclass
from functools import cached_property
from math import exp, log2

import numpy as np

from features.embed.aligning import Similarity, similarity
from features.embed.layouts import METHODS
from features.embed.principal import Plane, plane
from features.embed.projection import MapSettings
from features.errors import FeatureError
from features.neighbours.exact import Exact
from features.neighbours.neighbours import need_finite

STEPS = 64  # of halving, after which a float64 does not change any more
ROUNDS, CLOSE = 100, 1e-6  # of the median, and by how much of the points' spread it may still move at the end


@dataclass(frozen=True, eq=False)
class Placed:
    """M new images on a map.

    points: (M, 2) float32. indices: (M, k) int64 rows of the map's images, the nearest of each in the features;
    distances: (M, k) float32 from near to far.
    """

    points: np.ndarray
    indices: np.ndarray
    distances: np.ndarray


class Placement:
    """A map and the features that it was made of, for placing others.

    Of PCA a new image lies where its features project to, on the plane as the map has been turned and scaled. Of the
    other methods it lies at the geometric median of its nearest images' points, each weighted as UMAP weighs a
    neighbour: 1 for the nearest, less for farther ones by the scale at which all of them weigh log2(k) together
    (McInnes et al. 2018, section 3.1). The median stays with the most where neighbours lie in two places; the mean lies
    between them, where nothing is. One that has the very features of some images lies at the median of those. Every
    image is placed by itself, so that neither the others nor their order nor the number of threads changes a bit.
    """

    def __init__(self, features: np.ndarray, points: np.ndarray, settings: MapSettings) -> None:
        """features: (N, D) float32; points: (N, 2), the map's."""
        self.features, self.points, self.settings = features, points, settings

    @cached_property
    def _exact(self) -> Exact:
        return Exact(self.features)

    @cached_property
    def _plane(self) -> Plane:
        return plane(self.features)

    @cached_property
    def _as_drawn(self) -> Similarity:
        """From the plane to the map, which may have been laid on that of another stage."""
        return similarity(self._plane.points(self.features), self.points)

    def place(self, rows: np.ndarray) -> Placed:
        """Where new rows (M, D) of features lie. Raises FeatureError if their width differs or `need_finite` does."""
        if rows.ndim != 2 or rows.shape[1] != self.features.shape[1]:
            raise FeatureError(
                f"The map is of {self.features.shape[1]} features an image, but got the shape {rows.shape}. "
                "Take the same network, stage and pooling."
            )
        need_finite(rows)
        rows = np.ascontiguousarray(rows, np.float32)
        k = min(self.settings.neighbours, len(self.features))
        indices, distances = self._exact.nearest(rows, k)
        if METHODS[self.settings.method].linear:
            points = self._as_drawn.of(self._plane.points(rows))
        else:
            points = np.empty((len(rows), 2), np.float32)
            for row, (near, far) in enumerate(zip(indices, distances, strict=True)):
                points[row] = median(self.points[near].astype(np.float64), strengths(far))
        return Placed(points, indices, distances.astype(np.float32))


def strengths(distances: np.ndarray) -> np.ndarray:
    """How much each of k neighbours counts, in [0, 1], by their distances (k,) from near to far: (k,) float64."""
    beyond = distances - distances[0]
    if distances[0] == 0:  # copies
        return (distances == 0).astype(np.float64)
    if not beyond.any():
        return np.ones(len(distances))
    wanted = max(log2(len(distances)), 1.0)
    low, high = 0.0, 1.0
    gaps = (beyond / beyond[-1]).tolist()  # so that no scale of the features overflows
    while _weight(gaps, high) < wanted and high < 1e6:
        low, high = high, 2 * high
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _weight(gaps, middle) < wanted else (low, middle)
    return np.array([exp(-gap / high) for gap in gaps])


def median(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The geometric median (2,) of points (k, 2): where the weighted sum (k,) of the distances to them is least.

    By Weiszfeld's method with the step of Vardi & Zhang 2000 (doi:10.1073/pnas.97.4.1423) off the points themselves.
    """
    here = (points * weights[:, None]).sum(axis=0) / weights.sum()
    spread = float(np.abs(points - here).max())
    for _ in range(ROUNDS):
        gaps = np.sqrt(np.square(points - here).sum(axis=1))  # (k,)
        at = gaps <= CLOSE * spread
        pulls = np.where(at, 0, weights / np.where(at, 1, gaps))
        if not pulls.any():
            return here
        there = (points * pulls[:, None]).sum(axis=0) / pulls.sum()
        if at.any():  # what lies here holds the median with its weight
            strength = float(np.linalg.norm((pulls[:, None] * (points - here)).sum(axis=0)))
            there = here + max(0.0, 1 - weights[at].sum() / max(strength, 1e-300)) * (there - here)
        moved = float(np.abs(there - here).max())
        here = there
        if moved <= CLOSE * spread:
            return here
    return here


def _weight(gaps: list[float], scale: float) -> float:
    return sum(exp(-gap / scale) for gap in gaps) if scale else float(gaps.count(0.0))
