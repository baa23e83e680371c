"""The loss over a rising learning rate, and what is proposed of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from features.errors import FeatureError
from features.networks.architecture import cifar
from features.networks.canonical import build
from features.progress import finish
from features.train import augment, find_lr
from features.train.recipe import Recipe
from features.train.start import Start
from tests.train.runs import ONE_STEP, source, squares
from tests.train.test_augment import loaded

PLAIN = replace(ONE_STEP, momentum=0.0, weight_decay=0.0, learning_rate=1.0, schedule="constant")


def of_squares(recipe: Recipe = PLAIN, *, start: Start | None = None, **settings: float) -> find_lr.RangeTest:
    return finish(find_lr.range_test(start or Start(cifar(8)), squares(), recipe, **{"steps": 12, **settings}))


@pytest.mark.usefixtures("here")
def test_the_losses_are_those_of_plain_steps_at_rising_rates():
    found = of_squares(lowest=1e-3, highest=0.05)
    np.testing.assert_allclose(found.rates, 1e-3 * 50 ** (np.arange(12) / 11))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(cifar(8, classes=3))
    images, losses = squares(), []
    for epoch, rate in enumerate(found.rates):  # an epoch is one batch
        ((pixels, labels),) = loaded(images, augment.measure(images), PLAIN, epoch)
        network.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(pixels), labels)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for parameter in network.parameters():
                parameter -= rate * parameter.grad
    np.testing.assert_allclose(found.losses, losses, rtol=1e-3)


@pytest.mark.usefixtures("here")
def test_it_ends_where_the_loss_flies_away_and_proposes_a_tenth_of_the_best_rate():
    found = of_squares(start=Start(replace(cifar(8), norm="none")), lowest=1e-4, highest=1e6, steps=60)
    assert found.ended
    assert len(found.rates) < 60
    assert found.proposal == pytest.approx(found.rates[found.smoothed.argmin()] / 10)
    assert np.isfinite(found.losses).all()


def test_the_average_of_one_value_is_that_value_and_of_many_the_weighted_mean():
    losses = np.array([3.0, 1.0, 2.0])
    weights = 0.9 ** np.arange(3)[::-1]
    smoothed = find_lr._smoothed(losses)
    assert smoothed[0] == pytest.approx(3.0)
    assert smoothed[2] == pytest.approx((weights * losses).sum() / weights.sum())


@pytest.mark.usefixtures("here")
def test_the_network_that_it_starts_from_and_the_callers_random_numbers_stay_as_they_are():
    start = Start.of(source())
    before = {name: tensor.clone() for name, tensor in start.source.network.state_dict().items()}
    found = of_squares(replace(PLAIN, freeze="stem"), start=start)
    assert len(found.losses) == 12
    assert all(torch.equal(tensor, before[name]) for name, tensor in start.source.network.state_dict().items())


@pytest.mark.parametrize("settings", [{"lowest": 0.0}, {"lowest": 1.0, "highest": 0.5}, {"steps": 9}])
def test_rates_that_do_not_rise_are_refused(settings):
    with pytest.raises(FeatureError, match=r"Wanted rates above 0 that rise, and 10 steps or more"):
        of_squares(**settings)
