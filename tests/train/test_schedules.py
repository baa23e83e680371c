"""Learning rates over a run: by hand, and equal to those of torch's schedulers."""

from itertools import pairwise

import pytest
import torch
from torch.optim import lr_scheduler as of_torch

from features.train.recipe import Recipe
from features.train.schedules import SCHEDULES, numbers, share_of_peak

STEPS = 7  # an epoch
SHORT = {"epochs": 6, "warmup_epochs": 0.0, "learning_rate": 0.4}
MORE = {
    "step": {"step_epochs": 2, "step_factor": 0.3},
    "multistep": {"milestones": "2,3,5", "step_factor": 0.5},
    "restarts": {"restart_epochs": 1, "restart_factor": 2},
}


def shares(recipe: Recipe, steps: int = STEPS) -> list[float]:
    return [share_of_peak(step, steps, recipe) for step in range(recipe.epochs * steps)]


def rates_of_torch(make, steps: int) -> list[float]:
    """The learning rates of a scheduler that is made of an optimizer, as shares of 0.4."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    scheduler, rates = make(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"] / 0.4)
        optimizer.step()
        scheduler.step()
    return rates


def one_by_torch(name: str, optimizer: torch.optim.Optimizer, rest: int):
    """torch's scheduler of the same kind, which has `rest` steps for the whole of its way."""
    return {
        "cosine": lambda: of_torch.CosineAnnealingLR(optimizer, T_max=rest),
        "constant": lambda: of_torch.ConstantLR(optimizer, factor=1),
        "step": lambda: of_torch.StepLR(optimizer, step_size=2 * STEPS, gamma=0.3),
        "multistep": lambda: of_torch.MultiStepLR(optimizer, milestones=[2 * STEPS, 3 * STEPS, 5 * STEPS], gamma=0.5),
        "one-cycle": lambda: of_torch.OneCycleLR(optimizer, max_lr=0.4, total_steps=rest, cycle_momentum=False),
        "restarts": lambda: of_torch.CosineAnnealingWarmRestarts(optimizer, T_0=STEPS, T_mult=2),
    }[name]()


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_torchs(name):
    recipe = Recipe(**SHORT, schedule=name, **MORE.get(name, {}))
    total = recipe.epochs * STEPS
    wanted = rates_of_torch(lambda optimizer: one_by_torch(name, optimizer, total), total)
    assert shares(recipe) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("name", ["cosine", "restarts", "constant", "step", "multistep"])
def test_a_warm_up_is_torchs_linear_one_with_the_schedule_behind_or_beside_it(name):
    recipe = Recipe(**SHORT | {"warmup_epochs": 2.0}, schedule=name, **MORE.get(name, {}))
    warm, total = 2 * STEPS, recipe.epochs * STEPS

    def made(optimizer: torch.optim.Optimizer):
        rise = of_torch.LinearLR(optimizer, start_factor=1 / (warm + 1), total_iters=warm)
        rest = one_by_torch(name, optimizer, total - warm)
        if name in ("step", "multistep"):
            return of_torch.ChainedScheduler([rise, rest])
        return of_torch.SequentialLR(optimizer, [rise, rest], milestones=[warm])

    assert shares(recipe) == pytest.approx(rates_of_torch(made, total), abs=1e-9)


def test_one_cycle_behind_a_warm_up_begins_where_that_ends():
    recipe = Recipe(**SHORT | {"warmup_epochs": 1.0}, schedule="one-cycle")
    found = shares(recipe)
    assert found[STEPS - 1] == pytest.approx(STEPS / (STEPS + 1) / 25)
    wanted = rates_of_torch(lambda optimizer: one_by_torch("one-cycle", optimizer, 5 * STEPS), 5 * STEPS)
    assert found[STEPS:] == pytest.approx(wanted, abs=1e-9)


def test_the_learning_rate_warms_up_in_equal_steps_and_falls_along_half_a_cosine():
    recipe = Recipe(epochs=5, warmup_epochs=2)
    found = [share_of_peak(step, 10, recipe) for step in range(51)]
    assert found[:21] == pytest.approx([step / 21 for step in range(1, 22)])
    # A third of the way down the cosine has lost a quarter, halfway a half, two thirds of the way three quarters.
    assert [found[step] for step in (20, 30, 35, 40, 50)] == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert all(later < earlier for earlier, later in pairwise(found[20:]))


def test_without_a_warm_up_the_first_step_has_the_peak():
    recipe = Recipe(epochs=2, warmup_epochs=0)
    assert [share_of_peak(step, 3, recipe) for step in (0, 2, 3, 6)] == pytest.approx([1, 0.75, 0.5, 0])


def test_a_warm_up_may_end_within_an_epoch():
    recipe = Recipe(epochs=4, warmup_epochs=0.5)  # 5 steps of 40
    found = [share_of_peak(step, 10, recipe) for step in range(41)]
    assert found[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert found[40] == pytest.approx(0)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("epochs", "steps", "warm"), [(1, 1, 0.0), (1, 1, 1.0), (1, 2, 0.5), (3, 1, 3.0)])
def test_the_shortest_runs_have_rates_too(name, epochs, steps, warm):
    more = MORE.get(name, {})
    recipe = Recipe(epochs=epochs, warmup_epochs=warm, schedule=name, **more)
    found = [share_of_peak(step, steps, recipe) for step in range(epochs * steps + 1)]  # the last one is asked for too
    assert all(0 <= share <= 1 for share in found)


def test_numbers_are_read_as_they_are_written():
    assert (numbers("30, 60,80"), numbers("")) == ((30, 60, 80), ())
    assert numbers("3;4") is numbers("0") is None
