"""Paths through networks whose gradients are known, and one class against another."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from features import architecture, network, residual, zoo
from features.datasets import open_images
from features.errors import FeatureError
from features.progress import finish
from tests.test_residual import Times, half_and_half, model_of, noise


def chain(*factors):
    """Blocks that add a multiple of their input, to pictures that stay above zero, before a classifier of 2."""
    blocks = [
        network.ResidualBlock(nn.Identity(), nn.Sequential(Times(factor, factor, factor)), nn.ReLU())
        for factor in factors
    ]
    fc = nn.Linear(3, 2)
    with torch.no_grad():
        fc.weight.copy_(torch.tensor([[0.3, -0.1, 0.2], [0.1, 0.4, -0.3]]))
        fc.bias.zero_()
    head = nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1), fc=fc))
    net = network.ResidualNetwork(nn.Sequential(nn.ReLU()), {"layer1": blocks}, head)
    return model_of(network.freeze(net), architecture.cifar(8, classes=2), 4)


def test_where_every_branch_is_a_multiple_paths_weigh_as_a_binomial():
    b, n = 0.5, 4
    found = finish(residual.paths(chain(*[b] * n), half_and_half(), draws=3))
    lengths = np.arange(n + 1)
    assert found.lengths.tolist() == lengths.tolist()
    np.testing.assert_allclose(found.share, stats.binom.pmf(lengths, n, 0.5))
    np.testing.assert_allclose(found.single, np.repeat(found.single[:1, :1] * b ** lengths[:, None], 3, 1), rtol=1e-5)
    weights = np.array([1, 4, 6, 4, 1]) * b**lengths
    np.testing.assert_allclose(found.flow, weights / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(found.together_share, weights / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(found.together, found.single[0, 0] * weights, rtol=1e-5)


def test_all_paths_together_are_the_networks_own_gradient():
    """Where no path cancels another, the norms of all lengths sum to that of the gradient as autograd has it."""
    model = chain(0.5, 2.0, 0.25)
    found = finish(residual.paths(model, half_and_half(), draws=2))
    pictures = half_and_half()
    batch = torch.stack([model.spec.preprocessing(pictures.open(place)) for place in range(2)])
    with torch.no_grad():
        x = model.network.stem(batch)
    x.requires_grad_()
    logits = model.network.head(model.network.stages["layer1"](x))
    nn.functional.cross_entropy(logits, logits.argmax(1), reduction="sum").backward()
    wanted = x.grad.flatten(1).norm(dim=1).mean()
    assert found.together.sum() == pytest.approx(float(wanted), rel=1e-5)


def test_branches_that_cancel_are_seen_in_the_sum_and_not_in_single_paths():
    found = finish(residual.paths(chain(0.5, -0.5), half_and_half(), draws=20))
    assert found.single[1].mean() > 0
    assert found.together[1] == pytest.approx(0, abs=1e-7)


def test_paths_are_drawn_by_their_seed():
    model, images = zoo.load("resnet20-fashion"), open_images("sample").sample(4)
    one, again, other = (finish(residual.paths(model, images, draws=2, seed=seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.single, again.single)
    assert not np.array_equal(one.single[3], other.single[3])
    np.testing.assert_allclose(one.together, other.together, rtol=1e-6)
    assert one.table()["flow"].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("model", "settings", "text"),
    [("plain20-fashion", {}, "no shortcuts"), ("resnet20-fashion", {"draws": 1}, "at least 2")],
)
def test_what_has_no_paths_is_refused(model, settings, text):
    with pytest.raises(FeatureError, match=text):
        finish(residual.paths(zoo.load(model), open_images("sample").sample(2), **settings))


# --- two classes ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured():
    return finish(residual.statistics(zoo.load("resnet20-fashion"), open_images("sample").sample(100)))


def test_a_contrast_is_welchs_test_with_hedges_effect_and_a_corrected_p(measured):
    found = residual.contrast(measured, 0, 1)
    one, other = (measured.ratios[measured.labels == label].astype(np.float64) for label in (0, 1))
    assert found.counts == (10, 10)
    np.testing.assert_allclose(found.p, stats.ttest_ind(one, other, equal_var=False).pvalue)
    pooled = np.sqrt((one.var(0, ddof=1) + other.var(0, ddof=1)) / 2)
    np.testing.assert_allclose(found.effect, (one.mean(0) - other.mean(0)) / pooled * (1 - 3 / (4 * 18 - 1)))
    order = np.argsort(found.p)
    scaled = found.p[order] * len(order) / np.arange(1, len(order) + 1)
    wanted = np.empty_like(scaled)
    wanted[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1)
    np.testing.assert_allclose(found.q, wanted)
    assert ((found.low < found.effect) & (found.effect < found.high)).all()
    turned = residual.contrast(measured, 1, 0)
    np.testing.assert_allclose(turned.effect, -found.effect)
    assert found.table()["block"].tolist() == list(measured.blocks)


def test_two_draws_of_one_class_differ_by_chance_alone(measured):
    random = np.random.default_rng(0)
    drawn = [random.normal(size=(2, 40, 6)) for _ in range(200)]
    alarms = 0
    for one, other in drawn:
        p = stats.ttest_ind(one, other, equal_var=False).pvalue
        alarms += (residual_corrected(p) < residual.LEVEL).any()
    assert alarms <= 0.1 * len(drawn)


def residual_corrected(p):
    from features.residual.contrast import _corrected

    return _corrected(p)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ((0, 0), "two different classes"),
        ((0, 10), "from 0 to 9"),
        ((0, 1, "colour"), "Wanted one of ratio, cosine, sparsity"),
    ],
)
def test_contrasts_that_make_no_sense_are_refused(measured, settings, text):
    with pytest.raises(FeatureError, match=text):
        residual.contrast(measured, *settings)


def test_what_does_not_vary_has_no_effect(tiny_model):
    with pytest.raises(FeatureError, match="no labels"):
        residual.contrast(finish(residual.statistics(tiny_model, noise(4, 32))), 0, 1)
    plain = finish(residual.statistics(zoo.load("plain20-fashion"), open_images("sample").sample(40)))
    found = residual.contrast(plain, 0, 1)
    assert np.isnan(found.effect).all()
    assert np.isnan(found.q).all()
