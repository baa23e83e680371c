"""Single steps: clipped, of several batches, averaged, by every optimizer."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from features.errors import FeatureError
from features.networks.architecture import cifar
from features.networks.canonical import build
from features.train.averaging import Average
from features.train.learner import Learner
from features.train.optimizers import OPTIMIZERS
from features.train.parts import Parts
from features.train.recipe import Recipe
from features.train.start import Start
from features.train.steps import Steps
from tests.random_networks import randomise
from tests.train.runs import ONE_STEP, same_weights, source, squares, trained

CONSTANT = {"schedule": "constant", "warmup_epochs": 0.0}
PIXELS = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(1))


def steps(recipe: Recipe) -> Steps:
    parts = Parts(randomise(build(cifar(8, classes=3))), recipe)
    return Steps(parts, Learner(), recipe, lambda step: 1.0)


def loss_of(made: Steps, scale: float = 1.0) -> torch.Tensor:
    return scale * made.parts.logits(PIXELS).square().mean()


def weights(made: Steps) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in made.parts.network.parameters()])


def test_a_clipped_gradient_has_the_norm_asked_for_and_a_small_one_stays():
    recipe = Recipe(**CONSTANT, momentum=0.0, weight_decay=0.0, learning_rate=1.0, clip_norm=0.5)
    for scale, clipped in ((1e4, True), (1e-8, False)):
        made, plain = steps(recipe), steps(replace(recipe, clip_norm=0.0))
        before = weights(made)
        for each in (made, plain):
            each.backward(loss_of(each, scale), 1.0)
            each.step()
        moved, whole = before - weights(made), before - weights(plain)
        assert moved.norm().item() == pytest.approx(0.5 if clipped else whole.norm().item(), rel=1e-3)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("accumulate", "batch"), [(2, 6), (3, 4), (4, 3)])
@pytest.mark.parametrize("n_images", [12, 11])  # of which the last batch is a smaller one
def test_several_batches_are_one_larger_one_where_no_norm_learns(accumulate, batch, n_images, tmp_path):
    start = Start.of(source())
    recipe = replace(
        ONE_STEP, epochs=2, norm_statistics="frozen", learning_rate=0.01, class_weights="balanced", clip_norm=1.0
    )
    images = squares(n_images)
    found = trained(
        tmp_path, replace(recipe, batch_size=batch, accumulate=accumulate), "parts.pt", start=start, images=images
    )
    wanted = trained(tmp_path, replace(recipe, batch_size=12), "whole.pt", start=start, images=images)
    for name, tensor in wanted.network.state_dict().items():
        torch.testing.assert_close(found.network.state_dict()[name], tensor, rtol=1e-3, atol=1e-5, msg=name)
    assert found.curve[-1]["learning_rate"] == wanted.curve[-1]["learning_rate"]  # as many steps
    assert found.curve[-1]["train_loss"] == pytest.approx(wanted.curve[-1]["train_loss"], rel=1e-4)


def test_the_average_is_the_closed_form():
    network = randomise(build(cifar(8)))
    average = Average(network, 0.5)
    name, values = "head.fc.bias", [network.head.fc.bias.detach().clone()]
    for step in range(12):
        with torch.no_grad():
            network.head.fc.bias.add_(step + 1.0)
        values.append(network.head.fc.bias.detach().clone())
        average.update(network)
    decays = [min(0.5, (1 + step) / (10 + step)) for step in range(12)]
    wanted = values[0]
    for decay, value in zip(decays, values[1:], strict=True):
        wanted = decay * wanted + (1 - decay) * value
    torch.testing.assert_close(average.network.state_dict()[name], wanted)
    assert decays[-1] == 0.5
    still = [each for each in network.state_dict() if each != name]
    assert all(torch.equal(average.network.state_dict()[each], network.state_dict()[each]) for each in still)


@pytest.mark.usefixtures("here")
def test_the_average_is_what_is_tested_and_kept(tmp_path):
    recipe = replace(ONE_STEP, epochs=3, batch_size=4, learning_rate=0.02)
    plain, averaged = trained(tmp_path, recipe, "0.pt"), trained(tmp_path, replace(recipe, ema_decay=0.9), "1.pt")
    assert not same_weights(plain.network, averaged.network)
    state = torch.load(tmp_path / "1.pt", weights_only=True)
    assert all(torch.equal(each, state["network"][name]) for name, each in plain.network.state_dict().items())
    assert all(
        torch.equal(each, state["average"]["network"][name]) for name, each in averaged.network.state_dict().items()
    )


# --- optimizers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "schedule-free"])
def test_every_optimizer_lowers_the_loss(name):
    made = steps(Recipe(**CONSTANT, optimizer=name, learning_rate=0.5 if name == "lars" else 0.003))
    losses = []
    for _ in range(12):
        loss = loss_of(made)
        losses.append(loss.item())
        made.backward(loss, 1.0)
        made.step()
    assert losses[-1] < 0.7 * losses[0]


def first_step(recipe: Recipe) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Weights before, gradients, and weights after one step, of all tensors with more than one axis."""
    made = steps(recipe)
    before = {name: each.detach().clone() for name, each in made.parts.network.named_parameters() if each.ndim > 1}
    made.backward(loss_of(made), 1.0)
    gradients = {name: each.grad.clone() for name, each in made.parts.network.named_parameters() if each.ndim > 1}
    made.step()
    return before, gradients, {name: each.detach() for name, each in made.parts.network.named_parameters()}


def test_lars_moves_each_tensor_by_the_share_of_its_norm():
    recipe = Recipe(**CONSTANT, optimizer="lars", learning_rate=0.5, momentum=0.0, weight_decay=0.01)
    before, gradients, after = first_step(recipe)
    for name, weight in before.items():
        gradient = gradients[name]
        trust = 0.001 * weight.norm() / (gradient.norm() + 0.01 * weight.norm() + 1e-8)  # You et al. 2017, equation 6
        torch.testing.assert_close(
            after[name], weight - 0.5 * trust * (gradient + 0.01 * weight), rtol=1e-4, atol=1e-7, msg=name
        )


def test_lamb_moves_each_tensor_by_its_norm():
    recipe = Recipe(**CONSTANT, optimizer="lamb", learning_rate=0.01, weight_decay=0.1)
    before, gradients, after = first_step(recipe)
    for name, weight in before.items():
        update = gradients[name] / (gradients[name].abs() + 1e-6) + 0.1 * weight  # Adam's first step, and the decay
        wanted = weight - 0.01 * update * weight.norm() / update.norm()  # You et al. 2020, algorithm 2
        torch.testing.assert_close(after[name], wanted, rtol=1e-3, atol=1e-4, msg=name)


class Halfway(torch.optim.SGD):
    """Stands for an optimizer that keeps the network elsewhere than where gradients are taken."""

    def __init__(self, groups, lr):
        super().__init__(groups, lr=lr, momentum=0.5)
        self.moved = 0.0

    def _move(self, by: float) -> None:
        with torch.no_grad():
            for group in self.param_groups:
                for each in group["params"]:
                    each.add_(by)

    def eval(self):
        self._move(1.0)

    def train(self):
        self._move(-1.0)


def test_an_optimizer_without_a_schedule_is_where_it_should_be_when_it_is_tested(monkeypatch):
    monkeypatch.setitem(sys.modules, "schedulefree", SimpleNamespace(AdamWScheduleFree=Halfway))
    made = steps(Recipe(**CONSTANT, optimizer="schedule-free", learning_rate=0.01))
    made.backward(loss_of(made), 1.0)
    made.step()
    before = made.parts.network.head.fc.bias.detach().clone()
    with made.at_rest() as network:
        torch.testing.assert_close(network.head.fc.bias.detach(), before + 1)
    torch.testing.assert_close(made.parts.network.head.fc.bias.detach(), before)


def test_an_optimizer_that_is_not_installed_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "schedulefree", None)
    with pytest.raises(FeatureError, match="needs the package schedulefree, which is not installed"):
        steps(Recipe(**CONSTANT, optimizer="schedule-free"))
