"""Paths through networks whose gradients are known, and one class against another."""

import sys
from collections import OrderedDict
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from features import residual
from features.datasets import open_images
from features.datasets.labels import match_labels
from features.errors import FeatureError
from features.networks import architecture, canonical, zoo
from features.progress import finish
from tests.random_networks import randomise
from tests.residual.test_statistics import Times, half_and_half, model_of, noise


def chain(*factors):
    """Blocks that add a multiple of their input, to pictures that stay above zero, before a classifier of 2."""
    blocks = [
        canonical.ResidualBlock(nn.Identity(), nn.Sequential(Times(factor, factor, factor)), nn.ReLU())
        for factor in factors
    ]
    fc = nn.Linear(3, 2)
    with torch.no_grad():
        fc.weight.copy_(torch.tensor([[0.3, -0.1, 0.2], [0.1, 0.4, -0.3]]))
        fc.bias.zero_()
    head = nn.Sequential(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1), fc=fc))
    net = canonical.ResidualNetwork(nn.Sequential(nn.ReLU()), {"layer1": blocks}, head)
    return model_of(canonical.freeze(net), architecture.cifar(8, classes=2), 4)


def test_where_every_branch_is_a_multiple_paths_weigh_as_a_binomial():
    b, n = 0.5, 4
    found = finish(residual.paths(chain(*[b] * n), half_and_half(), draws=3))
    lengths = np.arange(n + 1)
    assert found.lengths.tolist() == lengths.tolist()
    np.testing.assert_allclose(found.share, stats.binom.pmf(lengths, n, 0.5))
    np.testing.assert_allclose(found.single, found.single[0] * b**lengths, rtol=1e-5)
    assert found.followed.tolist() == [1, 4, 6, 4, 1]
    np.testing.assert_array_equal(found.error, 0)
    weights = np.array([1, 4, 6, 4, 1]) * b**lengths
    np.testing.assert_allclose(found.flow, weights / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(found.together_share, weights / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(found.together, found.single[0] * weights, rtol=1e-5)


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
    assert found.single[1] > 0
    assert found.together[1] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("kind", ["padding", "projection"])
def test_every_path_of_a_real_network_is_what_autograd_gives_for_it(kind, tiny_images):
    """Each block's other side is cut off, and so are all but one of the paths; 8 of them through 3 blocks."""
    shape = architecture.cifar(8, kind, classes=3)
    model = model_of(canonical.freeze(randomise(canonical.build(shape))), shape, 32)
    images = tiny_images.take(range(0, 12, 4))
    found = finish(residual.paths(model, images))
    batch = torch.stack([model.spec.preprocessing(images.open(place)) for place in range(3)])
    targets = torch.from_numpy(match_labels(model.spec, images).classes)
    norms, sums = [[], [], [], []], [0, 0, 0, 0]
    for route in product((False, True), repeat=3):
        x = start = model.network.stem(batch).detach().requires_grad_()
        for takes_branch, (_, block) in zip(route, model.network.blocks(), strict=True):
            shortcut, branch = block.shortcut(x), block.branch(x)
            x = torch.relu(shortcut.detach() + branch if takes_branch else shortcut + branch.detach())
        nn.functional.cross_entropy(model.network.head(x), targets, reduction="sum").backward()
        norms[sum(route)].append(float(start.grad.flatten(1).norm(dim=1).mean()))
        sums[sum(route)] = sums[sum(route)] + start.grad
    np.testing.assert_allclose(found.single, [np.mean(values) for values in norms], rtol=1e-4)
    np.testing.assert_allclose(found.spread[1:3], [np.std(values, ddof=1) for values in norms[1:3]], rtol=1e-3)
    np.testing.assert_allclose(found.together, [float(g.flatten(1).norm(dim=1).mean()) for g in sums], rtol=1e-4)


def test_of_many_paths_some_are_drawn_by_their_seed_and_none_twice(monkeypatch):
    monkeypatch.setattr(sys.modules["features.residual.gradient_paths"], "ALL", 3)
    model, images = zoo.load("resnet20-fashion"), open_images("sample").sample(4)
    one, again, other = (finish(residual.paths(model, images, draws=5, seed=seed)) for seed in (0, 0, 1))
    assert one.followed.tolist() == [1, 5, 5, 5, 5, 5, 5, 5, 5, 1]
    np.testing.assert_array_equal(one.single, again.single)
    assert not np.array_equal(one.single[3], other.single[3])
    np.testing.assert_allclose(one.together, other.together, rtol=1e-6)
    assert (one.error[1:9] > 0).all()
    assert one.error[0] == one.error[9] == 0
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


@pytest.mark.slow
def test_classes_that_are_alike_differ_by_chance_alone(measured):
    random = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        drawn = random.normal(size=measured.sparsities.shape).astype(np.float32)
        alarms += (residual.contrast(replace(measured, sparsities=drawn), 0, 1, "sparsity").q < residual.LEVEL).any()
    assert alarms <= 0.1 * 200  # of all such comparisons 5 % give a false alarm


def test_images_without_a_ratio_do_not_count(measured):
    norms = {part: values.copy() for part, values in measured.norms.items()}
    missing = np.flatnonzero(measured.labels == 0)[0]
    norms["shortcut"][missing, 0] = 0
    found = residual.contrast(replace(measured, norms=norms), 0, 1)
    one, other = (measured.ratios[measured.labels == label, 0].astype(np.float64) for label in (0, 1))
    assert found.p[0] == pytest.approx(stats.ttest_ind(one[1:], other, equal_var=False).pvalue)
    assert not np.isnan(found.effect).any()


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
