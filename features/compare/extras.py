"""What is told of networks beyond the comparison itself, each asked for by its name: one list of all of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from features.compare.comparison import Comparison
from features.compare.measures import measured
from features.datasets import ImageSet
from features.networks.zoo import Model
from features.progress import Progress, Task, retold
from features.registry import Registry

if TYPE_CHECKING:
    import pandas as pd


class Result(Protocol):
    """What an extra tells of one or two networks."""

    def table(self) -> "pd.DataFrame": ...

    def as_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Extra:
    """name: on the command line, in links and of its file. title: for people. shows: what it tells, in a sentence.

    of_pairs: whether it is of two networks, else of each by itself. by_default: whether the command makes it unasked.
    run: the comparison, its networks and images, and the numbers of those that it is of -> its result.
    """

    name: str
    title: str
    shows: str
    of_pairs: bool
    by_default: bool
    run: Callable[[Comparison, Sequence[Model], ImageSet, tuple[int, ...]], Task[Result]]


@dataclass(frozen=True, eq=False)
class Told:
    """An extra of one network or of two, by their names."""

    extra: str
    networks: tuple[str, ...]
    result: Result


def _measures(told: Comparison, models: Sequence[Model], images: ImageSet, numbers: tuple[int, ...]) -> Task[Result]:
    first, second = (told.contenders[number] for number in numbers)
    return (yield from measured(first, second, told.ids, told.seed))


EXTRAS: Registry[Extra] = Registry(
    "extra",
    (
        Extra(
            "measures",
            "Stages by every measure",
            "CKA, biased CKA, RSA, orthogonal Procrustes and mutual nearest neighbours of every two stages.",
            of_pairs=True,
            by_default=True,
            run=_measures,
        ),
    ),
)
DEFAULT = tuple(extra.name for extra in EXTRAS.values() if extra.by_default)


def with_extras(
    told: Comparison, models: Sequence[Model], images: ImageSet, names: Iterable[str] = DEFAULT, all_pairs: bool = False
) -> Task[tuple[Told, ...]]:
    """Some extras of a comparison. images: those that it was made of. all_pairs: of every two networks, not only of the
    first with each other. Raises FeatureError for a name that does not exist.
    """
    wanted = [EXTRAS.need(name) for name in dict.fromkeys(names)]
    works = [(extra, numbers) for extra in wanted for numbers in numbers_of(extra, len(models), all_pairs)]
    results = []
    for number, (extra, numbers) in enumerate(works):
        task = extra.run(told, models, images, numbers)
        result = yield from retold(task, partial(_as_part, number=number, total=len(works), title=extra.title))
        results.append(Told(extra.name, tuple(told.contenders[each].name for each in numbers), result))
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
