"""Means with intervals against scipy's."""

import numpy as np
import pytest
from scipy import stats

from features.compare.means import mean_of


def test_the_interval_is_that_of_students_distribution(random):
    values = random.normal(size=12)
    told = mean_of(np.append(values, np.nan), -9, 9)
    wanted = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (told.low, told.high) == pytest.approx((wanted.low, wanted.high))
    assert (told.value, told.n) == (pytest.approx(values.mean()), 12)


def test_what_nothing_tells_is_none_in_json():
    assert mean_of(np.array([np.nan]), -1, 1).as_dict() == {"value": None, "low": None, "high": None, "n": 0}
    assert mean_of(np.array([0.5]), -1, 1).as_dict() == {"value": 0.5, "low": None, "high": None, "n": 1}


def test_intervals_end_where_values_do():
    told = mean_of(np.array([0.0, 1.0]), 0, 1)
    assert (told.low, told.high) == (0, 1)
