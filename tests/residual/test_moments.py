"""Sums that merge, against numpy on all values at once."""

import numpy as np
import pytest
import torch

from features.residual import moments
from features.residual.moments import Comoments, Moments, linear_cka

CPU = torch.device("cpu")


def maps(n_images, channels=3, side=8, offset=0.0, seed=0):
    values = np.random.default_rng(seed).normal(size=(n_images, channels, side, side)) * [[[[1.0]], [[2.0]], [[0.1]]]]
    return torch.from_numpy((values + offset).astype(np.float32)).to(memory_format=torch.channels_last)


def together(*parts):
    found = Moments(3, CPU)
    for part in parts:
        found.add(moments.map_moments(moments.by_place(part)))
    return found


def close(found, wanted, tolerance=1e-9):
    np.testing.assert_allclose(found, wanted, rtol=tolerance)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_a_million_values_have_the_mean_and_variance_that_numpy_gives_them(offset):
    values = maps(400, side=50, offset=offset)  # a million places in each channel
    found = together(*values.split(32))
    exact = values.double().numpy()
    assert found.n == 1_000_000
    close(found.mean, exact.mean((0, 2, 3)), 1e-5)
    close(found.variance, exact.var((0, 2, 3)), 1e-5)


def test_three_shards_merged_are_the_whole():
    values = maps(30)
    whole, merged = together(values), Moments(3, CPU)
    for part in values.split([4, 25, 1]):
        merged.merge(together(part))
    assert merged.n == whole.n
    close(merged.mean, whole.mean)
    close(merged.m2, whole.m2)


def test_nothing_merged_changes_nothing():
    found = together(maps(4))
    mean = found.mean.clone()
    found.merge(Moments(3, CPU))
    assert torch.equal(found.mean, mean)


def comoments(x, y, sizes):
    found = Comoments(x.shape[1], y.shape[1], CPU)
    for one, other in zip(x.split(sizes), y.split(sizes), strict=True):
        part = Comoments(x.shape[1], y.shape[1], CPU)
        part.add(one, other)
        found.merge(part)
    return found


def features(n, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, width)) + 100)


def test_products_of_shards_are_numpys_covariance():
    x, y = features(50, 4), features(50, 3, seed=1)
    found = comoments(x, y, [20, 1, 29])
    wanted = np.cov(x.numpy().T, y.numpy().T, ddof=0)[:4, 4:] * 50
    close(found.products, wanted, 1e-8)


@pytest.mark.parametrize(
    ("variances", "wanted"), [((1, 1, 1, 1), 4), ((1, 0, 0, 0), 1), ((1, 2, 3, 0), 36 / 14), ((9, 9, 0, 0), 2)]
)
def test_the_participation_ratio_counts_directions(variances, wanted, random):
    plain = np.linalg.qr(random.normal(size=(64, 5)))[0]
    plain = np.linalg.qr(np.column_stack([np.ones(64), plain[:, :4]]))[0][:, 1:]  # orthogonal, and to a constant
    x = torch.from_numpy(plain * np.sqrt(variances))
    close(comoments(x, x, [64]).participation_ratio, wanted, 1e-6)


def test_what_does_not_vary_has_no_rank_and_no_alignment():
    still = torch.ones(10, 3, dtype=torch.float64)
    one, other = comoments(still, still, [10]), comoments(features(10, 3), features(10, 3), [10])
    assert np.isnan(one.participation_ratio)
    assert np.isnan(linear_cka(comoments(still, features(10, 3), [10]), one, other))


def aligned(x, y):
    return linear_cka(*(comoments(*pair, [7, len(x) - 7]) for pair in ((x, y), (x, x), (y, y))))


def test_cka_is_one_for_a_rotation_and_the_formula_for_others(random):
    x, y = features(40, 5), features(40, 3, seed=1)
    rotation = torch.from_numpy(np.linalg.qr(random.normal(size=(5, 5)))[0])
    close(aligned(x, 3 * x @ rotation + 7), 1, 1e-9)
    k, m = (values - values.mean(0) for values in (x.numpy(), y.numpy()))
    gram = (k @ k.T, m @ m.T)
    wanted = (gram[0] * gram[1]).sum() / np.sqrt((gram[0] ** 2).sum() * (gram[1] ** 2).sum())
    close(aligned(x, y), wanted, 1e-9)
