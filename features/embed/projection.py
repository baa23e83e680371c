"""One map of features, and how far to trust it."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from features.embed.layouts import METHODS, Layout
from features.embed.principal import all_alike
from features.embed.trust import SCORED_NEIGHBOURS, Trust, trust
from features.errors import FeatureError
from features.neighbours import cuml_engine
from features.neighbours.graphs import graph
from features.neighbours.neighbours import Neighbours, need_finite
from features.progress import Progress, Task, finish
from features.results import Provenance

LEAST_IMAGES = 4


@dataclass(frozen=True)
class MapSettings:
    """How features are laid out.

    method: of METHODS. neighbours: k, the point itself among them. min_dist: how close UMAP may set points, in [0, 1].
    seed: the same one gives the same map on the same machine, versions and number of threads; None for a faster one
        that none repeats.
    """

    method: str = "umap"
    neighbours: int = 15
    min_dist: float = 0.1
    seed: int | None = 0

    def need_sound(self) -> None:
        """Raises FeatureError for a method or numbers that cannot be."""
        METHODS.need(self.method)
        if self.neighbours < 2 or not 0 <= self.min_dist <= 1:
            raise FeatureError(
                "A map needs at least 2 neighbours and a min_dist from 0 to 1, but got "
                f"{self.neighbours} and {self.min_dist}."
            )

    def as_dict(self) -> dict[str, Any]:
        """As it stands in files."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Projection:
    """N images on a plane.

    points: (N, 2) float32. settings: with as many neighbours as there were, at most N. graph: the neighbours in the
    features, for `trust` at least.
    """

    points: np.ndarray
    settings: MapSettings
    graph: Neighbours
    trust: Trust
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.points)


def project(
    features: np.ndarray,
    settings: MapSettings | None = None,
    provenance: Provenance | None = None,
    start: np.ndarray | None = None,
) -> Task[Projection]:
    """Lay (N, D) features out on a plane.

    start: (N, 2), where the points begin, for a map that is to be like another; None for the method's own.
    Raises FeatureError for unknown methods and settings, too few images (at least 4) or values that are not finite.
    """
    settings = settings or MapSettings()
    settings.need_sound()
    need_images(features)
    settings = replace(settings, neighbours=min(settings.neighbours, len(features)))
    # One graph for the map and its scores, so that it is looked for once.
    neighbours = yield from graph(features, min(max(settings.neighbours, SCORED_NEIGHBOURS + 1), len(features)))
    points = yield from laid_out(features, neighbours, settings, start)
    yield Progress(2, 3, "step", "trust scores")
    scores = trust(features, points, neighbours, settings.seed or 0)
    provenance = provenance or Provenance()
    if settings.method == "umap" and cuml_engine.takes(len(features)):
        provenance = provenance.with_settings(laid_out_by=cuml_engine.version())
    return Projection(points, settings, neighbours, scores, provenance)


def laid_out(
    features: np.ndarray, neighbours: Neighbours, settings: MapSettings, start: np.ndarray | None
) -> Task[np.ndarray]:
    """The points (N, 2) alone of `project`, on a graph of at least as many neighbours as the settings name.

    Copies of one image are one point: no method can tell what else they would be.
    """
    if all_alike(features):
        return np.zeros((len(features), 2), np.float32)
    k = min(settings.neighbours, neighbours.k)
    layout = Layout(features, neighbours.first(k), settings.min_dist, settings.seed, start)
    return (yield from METHODS[settings.method].layout(layout))


def need_images(features: np.ndarray) -> None:
    """Raises FeatureError for features (N, D) that no map can be made of."""
    if len(features) < LEAST_IMAGES:
        raise FeatureError(f"A map needs at least {LEAST_IMAGES} images, but got {len(features)}. Choose a larger set.")
    if features.ndim != 2 or features.shape[1] < 2:
        raise FeatureError(
            f"A map needs one row of at least two features for each image, but got the shape {features.shape}. "
            "Pool the maps (--pool mean), or choose another stage."
        )
    need_finite(features)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """How far two maps (N, 2) of the same images are from each other, turned, mirrored, moved and scaled to fit.

    The share in [0, 1] of the second's variance that the first does not hold (Procrustes: Gower 1975,
    doi:10.1007/BF02291478); 0 for the same map. Raises nothing for maps that are one point: 0 if both are, else 1.
    """
    from scipy.spatial import procrustes

    flat = [bool((points == points[0]).all()) for points in (one, other)]
    if any(flat):
        return 0.0 if all(flat) else 1.0
    return float(procrustes(one.astype(np.float64), other.astype(np.float64))[2])


def warm_up() -> None:
    """Compile UMAP ahead of need: the first fit of a process takes many seconds, later ones one or two."""
    finish(project(np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)))
