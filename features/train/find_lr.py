"""Looks for a learning rate: the loss while the rate rises from step to step (Smith 2017, arXiv:1506.01186)."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.claim import Claim, Kind
from features.errors import FeatureError
from features.progress import Progress, Task
from features.train.fit import readable
from features.train.recipe import Recipe
from features.train.sets import sets_of
from features.train.setup import Setup
from features.train.steps import Steps

if TYPE_CHECKING:
    import pandas as pd

    from features.datasets import ImageSet
    from features.train.start import Start

SMOOTHING = 0.9  # of the loss, per step
TOO_HIGH = 4.0  # times the least loss, at which the test ends
BELOW = 10.0  # by how much the proposal is below the rate of the least loss
FILE = "find-lr.csv"
RANGE_TEST = Kind("range-test", "tests of learning rates")


@dataclass(frozen=True, eq=False)
class RangeTest:
    """The loss over the learning rate.

    rates: (S,) float64, of each step, ascending. losses: (S,) float64, of each step's images before it. smoothed: (S,)
    their running average without the bias of its first values. proposal: a tenth of the rate at which this is least.
    ended: whether the loss rose so far that higher rates were not tried.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    proposal: float
    ended: bool

    def table(self) -> "pd.DataFrame":
        """A row per step."""
        import pandas as pd

        return pd.DataFrame({"learning_rate": self.rates, "loss": self.losses, "smoothed_loss": self.smoothed})


def range_test(
    start: "Start", images: "ImageSet", recipe: Recipe, lowest: float = 1e-5, highest: float = 10.0, steps: int = 100
) -> Task[RangeTest]:
    """Train for some steps at learning rates that rise by one factor from the lowest to the highest.

    All else is as the recipe has it: what is frozen, how stages differ, optimizer, batches, augmentation. It ends where
    the smoothed loss is four times its least value, or no number.
    Raises FeatureError as `fit` does, for rates that do not rise, for fewer than 10 steps, and if the loss is no number
    from the first step on.
    """
    if not 0 < lowest < highest < math.inf or steps < 10:
        raise FeatureError(
            f"Learning rates were to be tested from {lowest:g} to {highest:g} in {steps} steps. Wanted rates above 0 "
            "that rise, and 10 steps or more."
        )
    setup = Setup.of(start, sets_of(images, None, recipe), recipe)
    rates = np.geomspace(lowest, highest, steps)  # (S,)
    shares = [*(rates / recipe.learning_rate), highest / recipe.learning_rate]  # the step after the last is asked for
    stepping = Steps(setup.parts, setup.learner, recipe, lambda step: float(shares[min(step, steps)]))
    setup.learner.train()
    losses: list[float] = []
    epoch, ended = 0, False
    while len(losses) < steps and not ended:
        for number, (pixels, targets) in enumerate(readable(setup.loader(epoch))):
            goal = setup.goal(pixels, targets, epoch, number)
            losses.append(goal.loss.item())
            ended = _is_too_high(losses)
            if ended or len(losses) == steps:
                break
            stepping.backward(goal.loss, 1.0)
            stepping.step()
            yield Progress(len(losses), steps, "step", f"learning rate {rates[len(losses) - 1]:.2g}")
        epoch += 1
    return _concluded(rates, np.array(losses), ended)


def _is_too_high(losses: list[float]) -> bool:
    if not math.isfinite(losses[-1]):
        return True
    smoothed = _smoothed(np.array(losses))
    return bool(smoothed[-1] > TOO_HIGH * smoothed.min())


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """(S,) the exponential moving average, each value divided by the sum of its weights."""
    means, mean = [], 0.0
    for number, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        means.append(mean / (1 - SMOOTHING**number))
    return np.array(means)


def _concluded(rates: np.ndarray, losses: np.ndarray, ended: bool) -> RangeTest:
    losses = losses[np.isfinite(losses)]
    if not len(losses):
        raise FeatureError("The loss is no number at the lowest learning rate. Look at the images, or begin lower.")
    smoothed, tried = _smoothed(losses), rates[: len(losses)]
    return RangeTest(tried, losses, smoothed, float(tried[smoothed.argmin()] / BELOW), ended)


def write(claim: Claim, result: RangeTest) -> None:
    """Write FILE and the manifest with the proposal."""
    claim.write(FILE, result.table().to_csv(index=False).encode())
    told = {"proposal": result.proposal, "ended": result.ended, "steps_done": len(result.rates)}
    claim.commit({"settings": claim.settings, **told})
