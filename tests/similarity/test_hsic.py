from itertools import permutations

import numpy as np
import pytest

from features.similarity import hsic, similarity
from features.similarity.hsic import centred, overlap, side

RANDOM = np.random.default_rng(7)
X, Y = RANDOM.normal(size=(7, 3)), RANDOM.normal(size=(7, 4))
Y[:, 0] += X[:, 1]
ROTATION = np.linalg.qr(RANDOM.normal(size=(3, 3)))[0]
SHEAR = np.array([[1.0, 4, 0], [0, 1, 0], [0, 0, 9]])  # invertible
CKA = ["cka", "cka-biased"]


def unbiased_hsic(x, y):
    one, other = side(x), side(y)
    totals = one.lengths.sum() * other.lengths.sum()
    return hsic.unbiased(overlap(one, other), one.lengths @ other.lengths, totals, len(x))


def counted(x, y):
    """The U-statistic by its definition: the mean over all four different images."""
    k, m = x @ x.T, y @ y.T
    four = list(permutations(range(len(x)), 4))
    return np.mean([k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in four])


def as_song_has_it(x, y):
    """HSIC_1 as in Song et al. 2012, equation 5, with matrices."""
    n, one = len(x), np.ones(len(x))
    k, m = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    inner = np.trace(k @ m) + one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ k @ m @ one
    return inner / (n * (n - 3))


def gretton(x, y):
    n = len(x)
    h = np.eye(n) - 1 / n
    return np.trace(x @ x.T @ h @ y @ y.T @ h) / (n - 1) ** 2


@pytest.mark.parametrize("pair", [(X, Y), (X, X), (X + 50, Y - 30), (X[:4], Y[:4])], ids=["two", "one", "far", "four"])
def test_unbiased_hsic_is_the_mean_over_all_four_different_images(pair):
    assert unbiased_hsic(*pair) == pytest.approx(counted(*pair), rel=1e-8)
    assert unbiased_hsic(*pair) == pytest.approx(as_song_has_it(*pair), rel=1e-6)  # which loses digits far from 0


@pytest.mark.parametrize(("width", "other"), [(3, 4), (3, 40), (40, 4), (40, 50)])
def test_the_smaller_matrix_gives_what_kernels_give(width, other, random):
    x, y = random.normal(size=(9, width)), random.normal(size=(9, other))
    assert unbiased_hsic(x, y) == pytest.approx(as_song_has_it(x, y), rel=1e-8)
    assert hsic.biased(overlap(side(x), side(y)), 9) == pytest.approx(gretton(x, y), rel=1e-10)
    wanted = gretton(x, y) / np.sqrt(gretton(x, x) * gretton(y, y))
    assert similarity(x, y, "cka-biased") == pytest.approx(wanted, rel=1e-10)
    wanted = as_song_has_it(x, y) / np.sqrt(as_song_has_it(x, x) * as_song_has_it(y, y))
    assert similarity(x, y, "cka") == pytest.approx(wanted, rel=1e-8)


def test_no_kernel_of_all_images_is_made_where_features_are_fewer(random):
    assert side(random.normal(size=(9, 8))).kernel is None
    assert side(random.normal(size=(9, 9))).features is None


def test_the_diagonal_that_is_taken_off_is_a_matrix_and_no_vector():
    """`K - diag(K)` of numpy takes the diagonal from every row."""
    k, m = X @ X.T, Y @ Y.T
    wrong = (k - np.diag(k)), (m - np.diag(m))
    assert unbiased_hsic(X, Y) != pytest.approx(unbiased_by(*wrong), rel=1e-2)
    assert unbiased_hsic(X, Y) == pytest.approx(unbiased_by(k - np.diag(np.diag(k)), m - np.diag(np.diag(m))))


def unbiased_by(k, m):
    n, one = len(k), np.ones(len(k))
    inner = np.trace(k @ m) + one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ k @ m @ one
    return inner / (n * (n - 3))


@pytest.mark.parametrize("measure", CKA)
def test_a_missing_root_would_not_leave_scale_out(measure):
    assert similarity(X, 3 * X, measure) == pytest.approx(1, abs=1e-12)
    assert similarity(X, 1e-5 * Y, measure) == pytest.approx(similarity(1e5 * X, Y, measure), rel=1e-9)


@pytest.mark.parametrize("measure", CKA)
def test_rotation_scale_and_shift_change_nothing_and_other_maps_do(measure):
    value = similarity(X, Y, measure)
    assert similarity(5 * X @ ROTATION + 30, Y, measure) == pytest.approx(value, rel=1e-9)
    assert abs(similarity(X @ SHEAR, X, measure)) < 0.95


def test_what_is_called_unbiased_is_0_for_strangers_also_of_fewer_images_than_channels():
    values = {name: [] for name in CKA}
    for seed in range(60):
        random = np.random.default_rng(seed)
        x, y = random.normal(size=(2, 30, 300))
        for name in CKA:
            values[name].append(similarity(x, y, name))
    error = np.std(values["cka"], ddof=1) / np.sqrt(60)
    assert abs(np.mean(values["cka"])) < 3 * error < 0.03
    assert min(values["cka-biased"]) > 0.85


def test_unbiased_hsic_has_the_population_s_mean_at_any_number_of_images():
    """Of x and y = x A + noise the population's HSIC is |cov(x, y)|^2."""
    mixing = np.array([[1.0, 0.5], [0, 2]])
    wanted = (mixing**2).sum()
    for n in (4, 6, 20):
        found = []
        for seed in range(800):
            random = np.random.default_rng(seed)
            x = random.normal(size=(n, 2))
            found.append(unbiased_hsic(x, x @ mixing + random.normal(size=(n, 2))))
        assert abs(np.mean(found) - wanted) < 3.5 * np.std(found) / np.sqrt(len(found))


def test_equal_numbers_are_exactly_no_variation():
    assert not centred(np.full((11, 3), 0.1, np.float32)).any()


def test_two_of_the_largest_sizes_still_have_a_root():
    assert hsic.normalised(1e200, 1e200, 1e200) == pytest.approx(1)
    assert np.isnan(hsic.normalised(0.0, 0.0, 1.0))
