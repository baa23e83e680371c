"""Least squares from sums against numpy, scikit-learn and laws."""

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from features.compare.stitching.affine import (
    RIDGES,
    Affine,
    Sums,
    Variance,
    as_positions,
    best_ridge,
    fitted,
    least_eigenvalue,
)

P = 900
MAPS = torch.arange(24.0).reshape(1, 6, 2, 2)


def summed(first, second, pieces=1):
    sums = Sums(first[:50], second[:50])
    for one, other in zip(first.tensor_split(pieces), second.tensor_split(pieces), strict=True):
        sums.add(one, other)
    return sums


@pytest.fixture
def sides(random):
    """(P, 6) and (P, 4) float32, far from zero, the second a noisy map of the first."""
    first = random.normal(size=(P, 6)) @ (np.eye(6) + 0.2 * random.normal(size=(6, 6))) + 5
    second = first @ random.normal(size=(6, 4)) + random.normal(size=(P, 4)) - 3
    return torch.from_numpy(first).float(), torch.from_numpy(second).float()


def by_numpy(known, wanted):
    """(C + 1, C'), the bias last."""
    with_bias = np.hstack([known.double().numpy(), np.ones((len(known), 1))])
    return np.linalg.lstsq(with_bias, wanted.double().numpy(), rcond=None)[0]


@pytest.mark.parametrize("giver", [0, 1])
def test_the_fit_is_that_of_numpy_in_both_directions(sides, giver):
    fit = fitted(summed(*sides, pieces=7), giver, 0.0)
    wanted = by_numpy(sides[giver], sides[1 - giver])
    np.testing.assert_allclose(fit.weight, wanted[:-1], atol=1e-4)
    np.testing.assert_allclose(fit.bias, wanted[-1], atol=1e-3)


def test_a_ridge_is_that_of_scikit_learn(sides):
    from sklearn.linear_model import Ridge

    first, second = sides
    strength = 0.1 * first.double().var(0, correction=0).mean().item() * P
    wanted = Ridge(alpha=strength).fit(first.double().numpy(), second.double().numpy())
    fit = fitted(summed(*sides), 0, 0.1)
    np.testing.assert_allclose(fit.weight.T, wanted.coef_, atol=1e-4)
    np.testing.assert_allclose(fit.bias, wanted.intercept_, atol=1e-3)


def test_batches_of_any_size_give_the_same(sides):
    whole, parts = (fitted(summed(*sides, pieces=pieces), 0, 1e-5) for pieces in (1, 13))
    torch.testing.assert_close(whole(MAPS), parts(MAPS), atol=1e-3, rtol=1e-4)


def test_sums_of_parts_are_those_of_the_whole(sides):
    whole = summed(*sides)
    parts, rest = whole.like(), whole.like()
    parts.add(*(values[:300] for values in sides))
    rest.add(*(values[300:] for values in sides))
    parts.take_in(rest)
    assert parts.n == whole.n == P
    torch.testing.assert_close(fitted(parts, 0, 0.0)(MAPS), fitted(whole, 0, 0.0)(MAPS), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("giver", [0, 1])
def test_the_error_from_sums_is_that_from_values(sides, giver):
    sums = summed(*sides)
    for outputs in (slice(None), slice(None, None, 2)):
        (fit,) = sums.fits(giver, [0.01], outputs)
        whole = fitted(sums, giver, 0.01)
        left = (sides[giver] @ whole.weight + whole.bias - sides[1 - giver])[:, outputs]
        assert sums.error(fit, giver, outputs) == pytest.approx(float(left.double().square().sum()), rel=1e-4)


def test_an_invertible_map_is_undone_and_needs_hardly_a_ridge(random):
    first = torch.from_numpy(random.normal(size=(P, 8))).float()
    matrix = torch.from_numpy(random.normal(size=(8, 8))).float()
    sums = summed(first, first @ matrix + 1)
    other = torch.from_numpy(random.normal(size=(200, 8))).float()
    held = sums.like()
    held.add(other, other @ matrix + 1)
    assert best_ridge(sums, held, 0) == RIDGES[-1]
    fit = fitted(sums, 0, RIDGES[-1])
    torch.testing.assert_close(fit.weight, matrix, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(fit.bias, torch.ones(8), atol=1e-3, rtol=1e-3)


def test_a_ridge_is_chosen_where_positions_are_as_few_as_channels(random):
    """Least squares by itself is farthest off where both are equally many."""
    matrix = random.normal(size=(60, 5)) / 8
    first = random.normal(size=(600, 60))
    second = first @ matrix + random.normal(size=(600, 5))
    first, second = torch.from_numpy(first).float(), torch.from_numpy(second).float()
    sums = summed(first[:60], second[:60])
    held = sums.like()
    held.add(first[60:90], second[60:90])
    ridge = best_ridge(sums, held, 0)
    assert ridge >= 0.1

    def off(ridge):
        fit = fitted(sums, 0, ridge)
        return float((first[90:] @ fit.weight + fit.bias - second[90:]).square().mean())

    assert off(ridge) < off(RIDGES[-1]) / 3


def test_fewer_positions_than_channels_have_a_solution(random):
    first, second = (torch.from_numpy(random.normal(size=(10, width))).float() for width in (40, 3))
    fit = fitted(summed(first, second), 0, RIDGES[-1])
    torch.testing.assert_close(first @ fit.weight + fit.bias, second, atol=1e-2, rtol=1e-2)


def test_where_a_ridge_is_not_enough_more_is_taken(random):
    """Two channels are the same: without a ridge there are many solutions, of which the shortest shares alike.

    Sums of small whole numbers about 0 are exact, whatever the processor.
    """
    first = torch.from_numpy(random.integers(-3, 4, (P, 1)).astype(np.float32)).repeat(1, 2)
    sums = Sums(torch.zeros(1, 2), torch.zeros(1, 1))
    sums.add(first, 3 * first[:, :1])
    fit = fitted(sums, 0, 0.0)
    assert fit.ridge == min(RIDGES)
    torch.testing.assert_close(fit.weight, torch.full((2, 1), 1.5), atol=1e-4, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_rounding_is_no_solution(seed):
    """Channels that are equal or sums of others leave a covariance that only rounding makes definite."""
    first = torch.from_numpy(np.random.default_rng(seed).normal(size=(P, 3)) + 5).float()
    first = torch.cat([first, first[:, :1], first.sum(1, keepdim=True)], dim=1)
    second = first[:, :1] + 2 * first[:, 1:2]
    fit = fitted(summed(first, second), 0, 0.0)
    assert fit.ridge >= min(RIDGES)
    assert fit.weight.abs().max() < 2
    torch.testing.assert_close(first @ fit.weight + fit.bias, second, atol=1e-2, rtol=0)


@pytest.mark.parametrize("least", [1e-9, 1e-3, 0.5])
def test_the_least_eigenvalue_is_that_of_numpy(random, least):
    turn, _ = np.linalg.qr(random.normal(size=(30, 30)))
    matrix = (turn * [least, *np.linspace(1, 9, 29)]) @ turn.T
    told = least_eigenvalue(torch.linalg.cholesky(torch.from_numpy(matrix)))
    assert told == pytest.approx(np.linalg.eigvalsh(matrix)[0], rel=1e-3)  # slowest where it is near the next


def test_equal_channels_have_no_part_in_ones_and_are_seen():
    """The direction in which they do not vary, (1, -1), is at a right angle to (1, 1)."""
    matrix = torch.tensor([[1.0, 1 - 1e-9], [1 - 1e-9, 1.0]], dtype=torch.float64)
    assert least_eigenvalue(torch.linalg.cholesky(matrix)) == pytest.approx(1e-9, rel=1e-3)


def test_of_constant_features_only_the_mean_is_told(random):
    second = torch.from_numpy(random.normal(size=(P, 3))).float()
    fit = fitted(summed(torch.full((P, 5), 2.5), second), 0, RIDGES[-1])
    assert not fit.weight.any()
    torch.testing.assert_close(fit.bias, second.mean(0), atol=1e-5, rtol=1e-5)


def test_without_held_positions_the_middle_ridge_is_taken(sides):
    sums = summed(*sides)
    assert best_ridge(sums, sums.like(), 0) == RIDGES[len(RIDGES) // 2]


def test_sums_tell_which_side_held_nan(sides):
    first, second = sides
    second = second.clone()
    second[100, 2] = torch.nan
    assert summed(first, second).is_finite == (True, False)


def test_a_map_is_a_convolution_of_single_positions(random):
    weight, bias = (torch.from_numpy(random.normal(size=shape)).float() for shape in ((3, 4), (4,)))
    maps = torch.from_numpy(random.normal(size=(2, 3, 5, 6))).float().contiguous(memory_format=torch.channels_last)
    wanted = torch.nn.functional.conv2d(maps, weight.T[:, :, None, None], bias)
    mapped = Affine(weight, bias, 0.0)(maps)
    torch.testing.assert_close(mapped, wanted, atol=1e-5, rtol=1e-5)
    assert mapped.is_contiguous(memory_format=torch.channels_last)
    assert as_positions(maps).data_ptr() == maps.data_ptr()


def test_explained_variance_is_that_of_scikit_learn(random):
    wanted = random.normal(size=(P, 4)) * [1, 5, 0.1, 2] + 50
    mapped = wanted + random.normal(size=(P, 4))
    variance = Variance()
    for one, other in zip(np.array_split(wanted, 7), np.array_split(mapped, 7), strict=True):
        variance.add(torch.from_numpy(one).float(), torch.from_numpy(other).float())
    assert variance.explained == pytest.approx(r2_score(wanted, mapped, multioutput="variance_weighted"), abs=1e-4)


def test_nothing_is_explained_where_nothing_varies():
    variance = Variance()
    assert np.isnan(variance.explained)
    variance.add(torch.ones(5, 2), torch.zeros(5, 2))
    assert np.isnan(variance.explained)
