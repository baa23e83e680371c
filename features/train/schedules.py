"""How the learning rate goes over a run, as a share of its peak."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, floor, pi
from typing import TYPE_CHECKING

from features.registry import Registry

if TYPE_CHECKING:
    from features.train.recipe import Recipe

ONE_CYCLE_RISE, ONE_CYCLE_START, ONE_CYCLE_END = 0.3, 1 / 25, 1 / 25e4  # torch's OneCycleLR's, shares of the peak


@dataclass(frozen=True)
class Place:
    """Where in a run a step is, all in steps: done of total, those of the warm-up, and how many an epoch has."""

    done: int
    total: int
    warmup: float
    epoch: int

    @property
    def past(self) -> float:
        """Steps since the warm-up ended; 0 while it lasts."""
        return max(self.done - self.warmup, 0)

    @property
    def rest(self) -> float:
        """Steps from the end of the warm-up to the end of the run."""
        return max(self.total - self.warmup, 1)


@dataclass(frozen=True)
class Schedule:
    """name: in a recipe; title: for people; paper: its source; share: of the peak at a place, but for the warm-up."""

    name: str
    title: str
    paper: str
    share: Callable[[Place, "Recipe"], float]


def share_of_peak(step: int, steps_per_epoch: int, recipe: "Recipe") -> float:
    """The learning rate of a step, counted from 0 over all epochs, as a share of its peak.

    A linear warm-up rises to what the schedule begins with. Cosine, one cycle and restarts begin after it, as in
    torch's SequentialLR; step and multistep count epochs from the start of the run, as in its ChainedScheduler.
    """
    place = Place(step, recipe.epochs * steps_per_epoch, recipe.warmup_epochs * steps_per_epoch, steps_per_epoch)
    rise = (step + 1) / (place.warmup + 1) if step < place.warmup else 1.0
    return rise * SCHEDULES.need(recipe.schedule).share(place, recipe)


def numbers(text: str) -> tuple[int, ...] | None:
    """Whole numbers above 0 with commas between them; None for other texts."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isdecimal() and int(part) for part in parts):
        return None
    return tuple(map(int, parts))


def _half_cosine(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine, share of the way."""
    return end + (start - end) * (1 + cos(pi * share)) / 2


def _constant(place: Place, recipe: "Recipe") -> float:
    return 1.0


def _step(place: Place, recipe: "Recipe") -> float:
    return recipe.step_factor ** (place.done // (recipe.step_epochs * place.epoch))


def _multistep(place: Place, recipe: "Recipe") -> float:
    passed = [epoch for epoch in numbers(recipe.milestones) or () if place.done >= epoch * place.epoch]
    return recipe.step_factor ** len(passed)


def _cosine(place: Place, recipe: "Recipe") -> float:
    return _half_cosine(1, 0, place.past / place.rest)


def _one_cycle(place: Place, recipe: "Recipe") -> float:
    top, last = ONE_CYCLE_RISE * place.rest - 1, place.rest - 1
    past = min(place.past, last)  # the step after the last is asked for as well
    if past <= top:
        return _half_cosine(ONE_CYCLE_START, 1, past / top if top > 0 else 1)
    return _half_cosine(1, ONE_CYCLE_END, (past - top) / (last - top))


def _restarts(place: Place, recipe: "Recipe") -> float:
    length, past = recipe.restart_epochs * place.epoch, place.past
    if recipe.restart_factor == 1:
        past -= length * floor(past / length)
    while past >= length:
        past, length = past - length, length * recipe.restart_factor
    return _half_cosine(1, 0, past / length)


SCHEDULES = Registry(
    "schedule",
    (
        Schedule("cosine", "cosine (half of one, to zero)", "Loshchilov and Hutter 2017, arXiv:1608.03983", _cosine),
        Schedule("constant", "constant", "Robbins and Monro 1951, doi:10.1214/aoms/1177729586", _constant),
        Schedule("step", "step (lower every few epochs)", "He et al. 2015, arXiv:1512.03385", _step),
        Schedule("multistep", "multistep (lower after given epochs)", "He et al. 2015, arXiv:1512.03385", _multistep),
        Schedule("one-cycle", "one-cycle (up and down once)", "Smith and Topin 2018, arXiv:1708.07120", _one_cycle),
        Schedule("restarts", "restarts (half cosines)", "Loshchilov and Hutter 2017, arXiv:1608.03983", _restarts),
    ),
)  # fmt: skip
