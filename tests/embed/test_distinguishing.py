"""What sets a group apart, against SciPy and closed forms."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ttest_ind

from features.embed.distinguishing import corrected, distinguishing
from features.errors import FeatureError
from tests.embed.drawn import points

INSIDE = np.arange(60) < 20


def test_a_planted_channel_comes_first_with_its_effect_in_standard_deviations():
    values = points(6000, 8)
    inside = np.arange(6000) % 3 == 0
    values[inside, 5] += 2
    values[inside, 2] -= 1
    found = distinguishing(values, inside)
    assert found.strongest(2).tolist() == [5, 2]
    assert found.effects[5] == pytest.approx(2, abs=0.1)
    assert found.effects[2] == pytest.approx(-1, abs=0.1)


def test_p_values_are_welchs_corrected_by_the_false_discovery_rate():
    values = points(60, 30)
    found = distinguishing(values, INSIDE)
    wanted = ttest_ind(values[INSIDE].astype(float), values[~INSIDE].astype(float), equal_var=False).pvalue
    np.testing.assert_allclose(found.p_values, false_discovery_control(wanted), rtol=1e-6)
    np.testing.assert_allclose(found.inside, values[INSIDE].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("value", [0.1, 0.7, 1e9 / 3])
def test_a_constant_whose_mean_is_rounded_distinguishes_nothing(value):
    values = np.full((11, 2), value)
    values[:, 1] = np.arange(11)
    found = distinguishing(values, np.arange(11) < 3)
    assert found.strongest(9).tolist() == [1]
    assert np.isnan(found.p_values[0])


def test_what_does_not_vary_or_is_not_known_distinguishes_nothing():
    values = points(60, 4)
    values[:, 1] = 3
    values[:, 2] = np.nan
    found = distinguishing(values, INSIDE)
    assert np.isnan(found.effects[[1, 2]]).all()
    assert set(found.strongest(9)) == {0, 3}


def test_unknown_values_are_left_out():
    values = points(60, 3)
    values[4, 0] = np.nan
    found = distinguishing(values, INSIDE)
    assert found.inside[0] == pytest.approx(np.nanmean(values[INSIDE, 0]), rel=1e-5)


def test_corrected_p_values_are_scipys():
    p_values = np.random.default_rng(0).random(50)
    np.testing.assert_allclose(corrected(p_values), false_discovery_control(p_values))


@pytest.mark.parametrize("count", [0, 1, 59, 60])
def test_a_group_of_one_cannot_be_compared(count):
    with pytest.raises(FeatureError, match="Two images on both sides"):
        distinguishing(points(60), np.arange(60) < count)
