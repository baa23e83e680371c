"""Rank correlation against scipy's, intersection over union against sets counted by hand."""

import numpy as np
import pytest
from scipy import stats

from features.compare.overlap import iou, rank_correlation, ranked, strongest


def test_rank_correlation_is_that_of_scipy_with_ties_and_without(random):
    for one, other in [
        (random.normal(size=(9, 7)), random.normal(size=(9, 7))),
        (random.integers(0, 4, (9, 7)), random.integers(0, 3, (9, 7))),
    ]:
        wanted = stats.spearmanr(one.ravel(), other.ravel()).statistic
        assert rank_correlation(ranked(one), ranked(other)) == pytest.approx(wanted)


def test_iou_is_that_of_the_sets_of_the_strongest_pixels(random):
    one, other = random.permutation(400).reshape(20, 20), random.permutation(400).reshape(20, 20)
    first, second = ({*np.argsort(values.ravel())[-60:].tolist()} for values in (one, other))
    assert iou(ranked(one), ranked(other)) == pytest.approx(len(first & second) / len(first | second))


def test_iou_counted_by_hand():
    one, other = np.zeros(20), np.zeros(20)
    one[[0, 1, 2]] = 9, 8, 7
    other[[1, 2, 3]] = 9, 8, 7
    assert iou(ranked(one), ranked(other)) == 2 / 4  # three of twenty each, two in both


def test_equal_values_share_what_is_left_of_the_strongest():
    np.testing.assert_allclose(strongest(np.array([3.0, 1, 1, 1, 0, 0]), 1 / 3), [1, 1 / 3, 1 / 3, 1 / 3, 0, 0])
    for share in (0.1, 0.5, 1.0):
        assert strongest(np.repeat([1.0, 2.0], 10), share).sum() == pytest.approx(20 * share)


def test_a_map_is_at_one_with_itself_and_against_its_negative(random):
    values = random.normal(size=(12, 12))
    assert rank_correlation(ranked(values), ranked(values)) == pytest.approx(1)
    assert rank_correlation(ranked(values), ranked(-values)) == pytest.approx(-1)
    assert (iou(ranked(values), ranked(values)), iou(ranked(values), ranked(-values))) == (1, 0)


@pytest.mark.parametrize("change", [np.exp, lambda x: 1e-3 * x - 50, lambda x: x**3], ids=["exp", "linear", "cube"])
def test_a_monotone_change_changes_nothing(change, random):
    one, other = random.normal(size=(2, 12, 12))
    before, after = ranked(one), ranked(change(one))
    assert rank_correlation(after, ranked(other)) == pytest.approx(rank_correlation(before, ranked(other)))
    assert iou(after, ranked(other)) == iou(before, ranked(other))


@pytest.mark.parametrize("flat", [np.zeros((4, 4)), np.full((4, 4), -3.0), 1 + 1e-8 * np.eye(4)])
def test_a_map_that_is_the_same_everywhere_has_no_order(flat, random):
    other = ranked(random.normal(size=(4, 4)))
    assert np.isnan([rank_correlation(ranked(flat), other), iou(other, ranked(flat))]).all()
