"""What is told of networks beyond the comparison itself, each asked for by its name: one list of all of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from features.compare.comparison import Comparison
from features.compare.depth import DepthSettings, along_depth
from features.compare.gallery import Gallery, gallery
from features.compare.looks import Looks, looks
from features.compare.measures import measured
from features.compare.movers import MoverSettings, movers
from features.compare.sights import Settings as LookSettings
from features.compare.stitching import Stitches, stitched
from features.embed import MapSettings
from features.engine import POOLED
from features.networks.zoo import Model
from features.progress import Progress, Task, retold
from features.registry import Registry

if TYPE_CHECKING:
    import pandas as pd


SHOWN = 12  # images with both networks' maps


class Result(Protocol):
    """What an extra tells of one or two networks."""

    def table(self) -> "pd.DataFrame": ...

    def as_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Extra:
    """name: on the command line, in links and of its file. title: for people. shows: what it tells, in a sentence.

    of_pairs: whether it is of two networks, else of each by itself. by_default: whether the command makes it unasked.
    run: the comparison, its networks, and the numbers of those that it is of -> its result.
    """

    name: str
    title: str
    shows: str
    of_pairs: bool
    by_default: bool
    run: Callable[[Comparison, Sequence[Model], tuple[int, ...]], Task[Result]]


@dataclass(frozen=True, eq=False)
class ExtraResult:
    """An extra of one network or of two, by their names."""

    extra: str
    networks: tuple[str, ...]
    result: Result


def _measures(told: Comparison, models: Sequence[Model], numbers: tuple[int, ...]) -> Task[Result]:
    first, second = (told.contenders[number] for number in numbers)
    return (yield from measured(first, second, told.ids, told.seed))


def _stitching(told: Comparison, models: Sequence[Model], numbers: tuple[int, ...]) -> Task[Result]:
    one, other = numbers
    judges = told.common.judge(one), told.common.judge(other)
    settings = Stitches(seed=told.seed)
    called = [_called(models[number], told.contenders[number].name) for number in numbers]
    return (yield from stitched(called[0], called[1], told.common.images, judges, settings))


def _called(model: Model, name: str) -> Model:
    """A network under the name that it has in the comparison."""
    return replace(model, spec=replace(model.spec, name=name))


def _branches(told: Comparison, models: Sequence[Model], numbers: tuple[int, ...]) -> Task[Result]:
    (number,) = numbers
    settings = DepthSettings(seed=told.seed)
    result = yield from along_depth(models[number], told.common.images, lesions=True, settings=settings)
    return replace(result, name=told.contenders[number].name)


def _maps(told: Comparison, models: Sequence[Model], numbers: tuple[int, ...]) -> Task[Result]:
    one, other = (told.contenders[number] for number in numbers)
    # Both were read for the same images.
    ids = [told.ids[row] for row in one.rows]
    features = {each.name: each.layers[POOLED] for each in (one, other)}
    return (yield from movers(features, ids, MoverSettings(maps=MapSettings(seed=told.seed))))


@dataclass(frozen=True, eq=False)
class Looked:
    """Where two networks look. alike: how far at the same part. differing: of images of which both say the same class,
    those whose maps are least alike; disagreed: some of the n_disagreed of which only one network is right, drawn by
    chance; SHOWN of each at most.
    """

    alike: Looks
    differing: Gallery
    disagreed: Gallery
    n_disagreed: int

    def table(self) -> "pd.DataFrame":
        """As of `Looks`."""
        return self.alike.table()

    def as_dict(self) -> dict[str, Any]:
        """As of `Looks`."""
        return self.alike.as_dict()


def _saliency(told: Comparison, models: Sequence[Model], numbers: tuple[int, ...]) -> Task[Result]:
    one, other = numbers
    images, settings = told.common.images, LookSettings(seed=told.seed)
    first, second = models[one], models[other]
    alike = yield from looks(first, second, images, range(len(images)), settings)
    alike = replace(alike, first=told.contenders[one].name, second=told.contenders[other].name)
    differing = alike.rows[alike.differing[:SHOWN]].tolist()
    rows = told.contenders[one].evaluation.rows  # of `images`
    only_one = rows[told.contenders[one].correct != told.contenders[other].correct]
    disagreed = np.random.default_rng(told.seed).permutation(only_one)[:SHOWN].tolist()
    galleries = []
    for chosen in (differing, disagreed):
        galleries.append((yield from gallery(first, second, images, chosen, settings)))
    return Looked(alike, galleries[0], galleries[1], len(only_one))


EXTRAS: Registry[Extra] = Registry(
    "extra",
    (
        Extra(
            "measures",
            "Stages by every measure",
            "How alike every two stages are by CKA, biased and not, RSA, orthogonal Procrustes and mutual nearest "
            "neighbours.",
            of_pairs=True,
            by_default=True,
            run=_measures,
        ),
        Extra(
            "stitching",
            "Stitching",
            "What accuracy is left of one network when the other's stage, linearly mapped, stands in for its own.",
            of_pairs=True,
            by_default=True,
            run=_stitching,
        ),
        Extra(
            "branches",
            "Branches along depth",
            "What every block's branch adds to its shortcut, and what is lost without it, of all networks along "
            "relative depth.",
            of_pairs=False,
            by_default=False,
            run=_branches,
        ),
        Extra(
            "maps",
            "Aligned maps",
            "Both networks' maps of the images on each other, and the images whose neighbours changed most.",
            of_pairs=True,
            by_default=False,
            run=_maps,
        ),
        Extra(
            "saliency",
            "Where they look",
            "How far both networks look at the same part of the images, beside chance.",
            of_pairs=True,
            by_default=False,
            run=_saliency,
        ),
    ),
)
DEFAULT = tuple(extra.name for extra in EXTRAS.values() if extra.by_default)


def with_extras(
    told: Comparison, models: Sequence[Model], names: Iterable[str] = DEFAULT, all_pairs: bool = False
) -> Task[tuple[ExtraResult, ...]]:
    """Some extras of a comparison. models: its networks, in its order. all_pairs: of every two networks, not only of
    the first with each other. Raises FeatureError for a name that does not exist.
    """
    wanted = [EXTRAS.need(name) for name in dict.fromkeys(names)]
    works = [(extra, numbers) for extra in wanted for numbers in numbers_of(extra, len(models), all_pairs)]
    results = []
    for number, (extra, numbers) in enumerate(works):
        task = extra.run(told, models, numbers)
        result = yield from retold(task, partial(_as_part, number=number, total=len(works), title=extra.title))
        results.append(ExtraResult(extra.name, tuple(told.contenders[each].name for each in numbers), result))
    return tuple(results)


def numbers_of(extra: Extra, n_networks: int, all_pairs: bool) -> list[tuple[int, ...]]:
    """The networks, or pairs of them, that an extra is made of."""
    if not extra.of_pairs:
        return [(number,) for number in range(n_networks)]
    firsts = range(n_networks if all_pairs else 1)
    return [(first, second) for first in firsts for second in range(first + 1, n_networks)]


def _as_part(progress: Progress, number: int, total: int, title: str) -> Progress:
    note = f"{title} ({number + 1} of {total})" + (f": {progress.note}" if progress.note else "")
    return replace(progress, note=note)
