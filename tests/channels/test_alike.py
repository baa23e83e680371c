"""Channels most alike: permuted channels are found again, and correlations are NumPy's."""

from dataclasses import replace

import numpy as np
import pytest

from features.channels import alike
from features.errors import FeatureError
from features.progress import finish

N, C, D = 60, 9, 13
RANDOM = np.random.default_rng(0)
LEFT = RANDOM.gamma(1.0, size=(N, C)).astype(np.float32)
RIGHT = RANDOM.gamma(1.0, size=(N, D)).astype(np.float32)
CORRELATIONS = np.corrcoef(LEFT.T, RIGHT.T)[:C, C:]


def matched(left, right, permutations=5, seed=0):
    return finish(alike.matched(left, right, permutations, seed))


def test_the_most_alike_are_those_of_corrcoef_in_both_directions():
    forward, back = matched(LEFT, RIGHT)
    assert forward.channels.tolist() == CORRELATIONS.argmax(1).tolist()
    assert back.channels.tolist() == CORRELATIONS.argmax(0).tolist()
    np.testing.assert_allclose(forward.correlations, CORRELATIONS.max(1), atol=1e-5)
    np.testing.assert_allclose(back.correlations, CORRELATIONS.max(0), atol=1e-5)
    for one, other in ((forward, back), (back, forward)):
        wanted = [other.channels[match] == channel for channel, match in enumerate(one.channels)]
        assert one.mutual.tolist() == wanted
    assert forward.mutual.sum() == back.mutual.sum()


def test_permuted_and_scaled_channels_are_found_again_with_r_of_1():
    order = RANDOM.permutation(C)
    forward, back = matched(LEFT, 3 * LEFT[:, order] + 2)
    assert order[forward.channels].tolist() == list(range(C))
    assert back.channels.tolist() == order.tolist()
    np.testing.assert_allclose(forward.correlations, 1, atol=1e-6)
    assert forward.mutual.all()
    assert forward.beyond_chance == 1


def test_a_layer_beside_itself_is_the_identity():
    for made in matched(LEFT, LEFT):
        assert made.channels.tolist() == list(range(C))
        np.testing.assert_allclose(made.correlations, 1, atol=1e-6)
        assert made.median == pytest.approx(1)


@pytest.mark.parametrize("rows", [7, 20, 60])
def test_blocks_of_rows_of_any_size_give_the_same(rows, monkeypatch):
    whole = matched(LEFT, RIGHT)
    monkeypatch.setattr(alike, "ROWS", rows)
    for one, other in zip(matched(LEFT, RIGHT), whole, strict=True):
        assert one.channels.tolist() == other.channels.tolist()
        np.testing.assert_allclose(one.correlations, other.correlations, atol=1e-6)
        np.testing.assert_allclose(one.chance, other.chance, atol=1e-6)
        np.testing.assert_array_equal(one.top, other.top)


def test_constant_channels_have_no_correlation_and_are_no_match():
    left, right = LEFT.copy(), RIGHT.copy()
    left[:, 2], right[:, 5] = 0.1, 0
    right[:, 0] = left[:, 4]
    forward, back = matched(left, right)
    assert forward.channels[2] == -1
    assert np.isnan(forward.correlations[2])
    assert np.isnan(forward.chance[2])
    assert not forward.mutual[2]
    assert (forward.n_constant, back.n_constant) == (1, 1)
    assert 5 not in forward.channels
    assert 2 not in back.channels
    assert forward.channels[4] == 0


def test_where_nothing_varies_nothing_is_alike_and_nothing_fails():
    forward, back = matched(np.zeros((N, 3), np.float32), RIGHT)
    assert forward.channels.tolist() == [-1] * 3
    assert back.channels.tolist() == [-1] * D
    assert np.isnan([forward.limit, forward.median, forward.beyond_chance, back.limit]).all()


def test_of_channels_that_have_nothing_to_do_with_each_other_few_are_beyond_chance():
    left, right = np.random.default_rng(1).normal(size=(2, 400, 100)).astype(np.float32)
    for made in matched(left, right, 10):
        assert made.beyond_chance < 0.15
        assert made.median == pytest.approx(np.median(made.chance), abs=0.03)
        # the highest of D correlations, which are normal with a deviation of 1 / sqrt(N)
        assert made.chance.mean() == pytest.approx(2.51 / np.sqrt(400), rel=0.1)


def test_the_same_seed_gives_the_same_chance():
    one, again, other = (matched(LEFT, RIGHT, seed=seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.chance, again.chance)
    assert not np.array_equal(one.chance, other.chance)
    without = matched(LEFT, RIGHT, 0)[0]
    assert np.isnan(without.limit)
    np.testing.assert_array_equal(without.correlations, one.correlations)


def test_top_images_are_those_of_sorting_all_with_equal_ones_in_order():
    coarse = np.round(LEFT * 3).astype(np.float32)
    made, _ = matched(coarse, RIGHT)
    for channel in range(C):
        wanted = np.lexsort((np.arange(N), -coarse[:, channel]))[: alike.TOP]
        assert made.top[channel].tolist() == wanted.tolist()


def test_other_numbers_of_images_are_refused():
    with pytest.raises(FeatureError, match="got 60 and 59"):
        matched(LEFT, RIGHT[1:])
    with pytest.raises(FeatureError, match="3 or more, but got 2 and 2"):
        matched(LEFT[:2], RIGHT[:2])


def test_results_tell_what_they_count():
    made = replace(matched(LEFT, RIGHT)[0], channels=np.array([-1, 0, 1]), correlations=np.array([np.nan, 0.5, 0.7]))
    assert made.n_constant == 1
    assert made.median == pytest.approx(0.6)
