"""Agreement of two networks: against independent libraries, laws, and numbers by hand."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from features.compare import agreement, difference_interval, mcnemar
from features.errors import FeatureError


@pytest.fixture
def answers(random):
    first = random.random(500) < 0.8
    return first, np.where(random.random(500) < 0.5, first, random.random(500) < 0.7)


def test_counts_are_those_of_the_four_cells(answers):
    first, second = answers
    told = agreement(first, second, first == second)
    assert told.both + told.first_only == first.sum()
    assert told.both + told.second_only == second.sum()
    assert told.n_images == 500
    assert told.difference == pytest.approx(second.mean() - first.mean())
    assert told.churn == pytest.approx((first != second).mean())


def test_error_consistency_is_cohens_kappa_of_who_is_right(answers):
    assert agreement(*answers).kappa == pytest.approx(cohen_kappa_score(*answers))


def test_kappa_is_1_for_the_same_errors_0_for_independent_ones_and_nothing_where_there_are_none():
    right = np.array([1, 1, 1, 0], bool)
    assert agreement(right, right).kappa == 1
    grid = np.repeat(np.array([[1, 1], [1, 0], [0, 1], [0, 0]], bool), [9, 3, 3, 1], axis=0)  # of 3/4 each
    assert agreement(*grid.T).kappa == pytest.approx(0)
    always = np.ones(4, bool)
    assert np.isnan(agreement(always, always).kappa)
    assert agreement(always, always).as_dict()["kappa"] is None


@pytest.mark.parametrize(("one", "other"), [(0, 0), (0, 5), (3, 9), (10, 10), (40, 71), (1, 300)])
def test_mcnemar_is_twice_the_binomial_tail(one, other):
    pairs = one + other
    tail = sum(Fraction(comb(pairs, k), 2**pairs) for k in range(min(one, other) + 1))
    assert mcnemar(one, other) == pytest.approx(float(min(1, 2 * tail)), rel=1e-9)
    assert mcnemar(one, other) == mcnemar(other, one)


def test_mcnemar_is_scipys_binomial_test_of_the_images_on_which_one_alone_is_right(answers):
    first, second = answers
    alone = second[first != second]
    told = agreement(first, second)
    assert told.p_value == pytest.approx(binomtest(int(alone.sum()), len(alone), 0.5).pvalue)
    low, high = binomtest(int(alone.sum()), len(alone)).proportion_ci(0.95)  # exact where the p value is
    assert (told.p_value < 0.05) == (not low <= 0.5 <= high)


def test_mcnemar_finds_a_difference_by_chance_once_in_twenty_times(random):
    p_values = np.array([mcnemar(hits, 400 - hits) for hits in random.binomial(400, 0.5, 2000)])
    assert 0.03 < (p_values < 0.05).mean() < 0.06


@pytest.mark.parametrize("probabilities", [(0.7, 0.1, 0.1, 0.1), (0.9, 0.02, 0.06, 0.02), (0.98, 0.01, 0.005, 0.005)])
def test_intervals_hold_the_true_difference_nineteen_times_of_twenty(random, probabilities):
    counts = random.multinomial(400, probabilities, 2000)
    intervals = np.array([difference_interval(first, second, 400) for _, first, second, _ in counts])
    true = probabilities[2] - probabilities[1]
    assert 0.93 < ((intervals[:, 0] <= true) & (true <= intervals[:, 1])).mean() <= 1
    assert (np.abs(intervals) <= 1).all()


def test_networks_of_other_images_or_none_are_refused():
    with pytest.raises(FeatureError, match=r"\(3,\) and \(4,\)"):
        agreement(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(FeatureError, match="at least one"):
        agreement(np.ones(0, bool), np.ones(0, bool))
