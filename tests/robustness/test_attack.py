"""Projected gradient descent: stays where it may be, rises, and is exact where the loss is linear."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from features.robustness import NORMS
from features.robustness.attack import lengths, pgd

RANDOM = torch.Generator().manual_seed(0)
PIXELS = torch.rand(5, 3, 8, 8, generator=RANDOM)
WEIGHT = torch.randn(3, 8, 8, generator=RANDOM)
LABELS = torch.tensor([0, 1, 2, 3, 0])
MIDDLE = 0.4 + 0.2 * PIXELS  # no border within 0.4

both = pytest.mark.parametrize("norm", NORMS.values(), ids=lambda norm: norm.name)


def linear(x: Tensor) -> Tensor:
    return (x * WEIGHT).flatten(1).sum(1)


@pytest.fixture(scope="module")
def loss():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(216, 4)).requires_grad_(False)
    return lambda x: nn.functional.cross_entropy(network(x), LABELS, reduction="none")


def size(norm, differences: Tensor) -> Tensor:
    return differences.abs().flatten(1).amax(1) if norm.name == "linf" else lengths(differences).flatten()


def start(norm, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return norm.drawn(torch.randn(PIXELS.shape, generator=random), torch.rand(5, 1, 1, 1, generator=random))


@both
@pytest.mark.parametrize("epsilon", [0.03, 0.5, 4.0])
def test_every_picture_is_in_the_ball_and_in_the_range_of_pixels(loss, norm, epsilon):
    for x in pgd(loss, PIXELS, norm, epsilon, 6, epsilon / 2, start(norm)):
        assert (size(norm, x - PIXELS) <= epsilon * (1 + 1e-5)).all()
        assert x.min() >= 0
        assert x.max() <= 1


@both
def test_the_loss_rises(loss, norm):
    steps = [loss(x) for x in pgd(loss, PIXELS, norm, 0.2, 8, 0.02)]
    assert all((after >= before).all() for before, after in pairwise(steps))
    assert (steps[-1] > steps[0]).all()


def test_one_step_of_the_radius_is_the_fast_gradient_sign_method(loss):
    at = PIXELS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(at).sum(), at)
    wanted = (PIXELS + 8 / 255 * gradient.sign()).clamp(0, 1)
    *_, x = pgd(loss, PIXELS, NORMS["linf"], 8 / 255, 1, 8 / 255)
    torch.testing.assert_close(x, wanted)


@both
def test_of_a_linear_loss_the_worst_place_is_reached(norm):
    """It rises by epsilon times the dual norm of the weights: of linf their absolute sum, of l2 their length."""
    *_, x = pgd(linear, MIDDLE, norm, 0.05, 20, 0.02, start(norm))
    dual = WEIGHT.abs().sum() if norm.name == "linf" else WEIGHT.norm()
    torch.testing.assert_close(linear(x) - linear(MIDDLE), (0.05 * dual).expand(5), rtol=1e-3, atol=1e-4)


@both
def test_where_nothing_rises_nothing_moves(norm):
    *_, x = pgd(lambda x: 0 * linear(x), PIXELS, norm, 0.1, 3, 0.05)
    torch.testing.assert_close(x, PIXELS)


def test_starts_fill_their_ball_evenly():
    """Of a cube every coordinate is uniform; of a ball of d dimensions the mean radius is d / (d + 1)."""
    random = torch.Generator().manual_seed(0)
    normal, uniform = torch.randn(4000, 1, 1, 2, generator=random), torch.rand(4000, 1, 1, 1, generator=random)
    cube = NORMS["linf"].drawn(normal, uniform)
    assert cube.abs().max() <= 1
    assert cube.var().item() == pytest.approx(1 / 3, rel=0.05)
    radii = lengths(NORMS["l2"].drawn(normal, uniform))
    assert radii.max() <= 1 + 1e-6
    assert radii.mean().item() == pytest.approx(2 / 3, rel=0.02)


@both
def test_the_pictures_and_the_gradients_of_others_are_left_alone(loss, norm):
    given = PIXELS.clone()
    *_, x = pgd(loss, given, norm, 0.1, 2, 0.05)
    assert torch.equal(given, PIXELS)
    assert not x.requires_grad
