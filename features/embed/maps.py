"""Maps of several stages of one network that can be laid beside each other."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.embed.aligning import aligned
from features.embed.layouts import METHODS
from features.embed.projection import MapSettings, Projection, distance, laid_out, project
from features.errors import FeatureError
from features.progress import Progress, Task, retold
from features.results import Provenance


@dataclass(frozen=True, eq=False)
class StageMaps(Mapping[str, Projection]):
    """Maps of the same N images by their features at several stages, from the first stage to the last.

    Each is turned, mirrored, moved and scaled to lie as nearly as it can on that of the stage behind it, which changes
    no neighbour: what still differs between two of them is what the stages make of the images.
    """

    maps: Mapping[str, Projection]

    def __getitem__(self, stage: str) -> Projection:
        return self.maps[stage]

    def __iter__(self) -> Iterator[str]:
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)


def stage_maps(
    stages: Mapping[str, np.ndarray], settings: MapSettings | None = None, provenance: Provenance | None = None
) -> Task[StageMaps]:
    """Maps of every stage's features (N, D), in the order of the stages.

    The last stage is laid out first; every other begins where the one behind it ended. Raises FeatureError as
    `project` does, with the stage's name.
    """
    names = [*stages]
    made: dict[str, Projection] = {}
    behind: Projection | None = None
    features: np.ndarray | None = None
    for number, name in enumerate(reversed(names)):
        before, features = features, stages[name]
        told = (provenance or Provenance()).with_settings(stage=name)
        # The pooled features of many networks are the last stage's.
        if behind is not None and before is not None and np.array_equal(features, before):
            behind = replace(behind, provenance=told)
        else:
            behind = yield from _one(features, f"{name} ({number + 1} of {len(names)})", settings, told, behind)
        made[name] = behind
    return StageMaps({name: made[name] for name in names})


def _one(
    features: np.ndarray, title: str, settings: MapSettings | None, told: Provenance, behind: Projection | None
) -> Task[Projection]:
    """A stage's map on that of the stage behind it, with the stage's title in its reports and errors."""
    task = project(features, settings, told, None if behind is None else behind.points)
    try:
        projection = yield from retold(task, lambda report: replace(report, note=f"{title}: {report.note}"))
    except FeatureError as error:
        raise FeatureError(f"{title}: {error}") from error
    return projection if behind is None else replace(projection, points=aligned(projection.points, behind.points))


def reseeded(stages: Mapping[str, np.ndarray], maps: StageMaps) -> Task[dict[str, float]]:
    """Stage -> how far its map is from that of another seed, as of `distance`: 0 for a method without chance.

    The others are made as these were, the last stage first. What differs between the two is chance, and no structure of
    the features.
    """
    behind: np.ndarray | None = None
    before: Projection | None = None
    distances: dict[str, float] = {}
    for number, (name, projection) in enumerate(reversed([*maps.items()])):
        yield Progress(number, len(maps), "map", "of another seed")
        settings = projection.settings
        if METHODS[settings.method].linear:
            distances[name] = 0.0
            continue
        if before is None or projection.points is not before.points:  # else the same features as those behind
            other = replace(settings, seed=None if settings.seed is None else settings.seed + 1)
            behind = yield from laid_out(stages[name], projection.graph, other, behind)
        before = projection
        assert behind is not None  # since the first was laid out
        distances[name] = distance(projection.points, behind)
    return {name: distances[name] for name in maps}


def drift(maps: StageMaps) -> np.ndarray:
    """How far each image moves from one stage's map to the next, (N, S - 1) float32, in widths of the maps.

    A width is the root mean square distance of the points from their centre.
    """
    placed = [projection.points for projection in maps.values()]
    moves = [_between(one, other) for one, other in itertools.pairwise(placed)]
    return np.stack(moves, axis=1).astype(np.float32) if moves else np.empty((len(placed[0]), 0), np.float32)


def _between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    width = float(np.sqrt(np.square(other - other.mean(axis=0)).sum(axis=1).mean()))
    return np.linalg.norm(other - one, axis=1) / (width or 1.0)


def turnover(maps: StageMaps, k: int) -> np.ndarray:
    """The share of each image's k nearest at one stage that are not among its k nearest at the next: (N, S - 1)."""
    near = [projection.graph.indices[:, 1 : k + 1] for projection in maps.values()]
    if len(near) < 2:
        return np.empty((len(near[0]), 0), np.float32)
    return np.stack([1 - shared(one, other) for one, other in itertools.pairwise(near)], axis=1)


def shared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The share of each row's k numbers (N, k) that are among the k of the same row (N, k) of another: (N,) float32."""
    both = np.sort(np.concatenate([one, other], axis=1), axis=1)  # a number in both stands there twice
    return ((both[:, 1:] == both[:, :-1]).sum(axis=1) / one.shape[1]).astype(np.float32)


def cohesion(maps: StageMaps, rows: Sequence[int] | np.ndarray, k: int) -> dict[str, float]:
    """Stage -> the share of the k nearest of some images that are among these images themselves, in [0, 1].

    Where it falls, the group comes apart. By chance it would be the group's share of all images.
    """
    inside = np.zeros(len(next(iter(maps.values()))), bool)
    inside[np.asarray(rows)] = True
    return {
        name: float(inside[projection.graph.indices[inside, 1 : k + 1]].mean()) if inside.any() else float("nan")
        for name, projection in maps.items()
    }
