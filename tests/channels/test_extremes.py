"""The best k of each channel against sorting everything, with many ties."""

import numpy as np
import pytest

from features.channels.extremes import Leaders

N, C, K = 90, 7, 5
VALUES = np.random.default_rng(0).integers(0, 6, (N, C)).astype(np.float32)
POSITIONS = np.random.default_rng(1).integers(0, 50, (N, C, 2)).astype(np.int32)


def filled(sign, parts):
    leaders = Leaders(C, K, sign)
    for rows in parts:
        leaders.add(VALUES[rows], rows, lambda images, channels, rows=rows: POSITIONS[rows[images], channels])
    return leaders


def agree(made, sign):
    for channel in range(C):
        order = np.lexsort((np.arange(N), -sign * VALUES[:, channel]))[:K]
        assert made.rows[channel].tolist() == order.tolist()
        np.testing.assert_array_equal(made.values[channel], VALUES[order, channel])
        np.testing.assert_array_equal(made.positions[channel], POSITIONS[order, channel])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [1, 4, 13, 90])
def test_batches_of_any_size_give_what_sorting_everything_gives(sign, size):
    parts = [np.arange(start, min(start + size, N)) for start in range(0, N, size)]
    agree(filled(sign, parts).result(N), sign)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_order_of_batches_does_not_matter(sign):
    parts = [np.arange(start, start + 10) for start in range(0, N, 10)]
    agree(filled(sign, parts[::-1]).result(N), sign)


@pytest.mark.parametrize("sign", [1, -1])
def test_merged_parts_give_what_one_gives(sign):
    one, two, three = (filled(sign, [np.arange(start, start + 30)]) for start in (60, 0, 30))
    one.merge(two)
    one.merge(three)
    one.merge(Leaders(C, K, sign))
    agree(one.result(N), sign)


def test_positions_are_looked_up_only_for_what_comes_in():
    leaders = filled(1, [np.arange(K)])
    leaders.add(np.full((3, C), -1, np.float32), np.arange(50, 53), None)  # which would fail if it were called
    assert leaders.result(53).rows.max() < K


@pytest.mark.parametrize("sign", [1, -1])
def test_values_of_any_sign_and_size_are_given_back_as_they_were(sign):
    values = np.array([-0.0, 0.0, -1.5, 3e38, -3e38, 1e-44, -1e-44, 2.5], np.float32)[:, None]
    leaders = Leaders(1, 8, sign)
    leaders.add(values, np.arange(8), lambda images, channels: np.zeros((len(images), 2), np.int32))
    made = leaders.result(8)
    order = np.lexsort((np.arange(8), -sign * values[:, 0]))
    assert made.rows[0].tolist() == order.tolist()
    np.testing.assert_array_equal(made.values[0], values[order, 0])
