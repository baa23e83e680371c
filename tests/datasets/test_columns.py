"""Further columns of a list: their types, and their values as groups."""

import numpy as np
import pytest

from features.datasets.columns import column_of, groups_of


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["1", "-2"], np.array([1, -2])),
        (["1", ""], np.array([1.0, np.nan])),
        (["1.5", "2e3"], np.array([1.5, 2000.0])),
        ([1, 2.5], np.array([1.0, 2.5])),
        (["True", "False"], np.array([True, False])),
        ([True, False], np.array([True, False])),
        (["007", "1"], np.array(["007", "1"], object)),  # a code is no number
        (["1_000", "1"], np.array(["1_000", "1"], object)),
        (["a", None], np.array(["a", None], object)),
        ([None, ""], np.array([None, None], object)),
        ([[1, 2], {"a": 1}], np.array(["[1, 2]", '{"a": 1}'], object)),
        (["9" * 30, "1"], np.array(["9" * 30, "1"], object)),
    ],
)
def test_a_column_has_the_type_of_its_cells(cells, wanted):
    values = column_of(cells)
    assert values.dtype == wanted.dtype
    np.testing.assert_array_equal(values, wanted)


def test_few_values_are_groups_of_their_own_in_their_order():
    groups = groups_of(np.array([10, 2, 10, 1]))
    assert groups.names == ("1", "2", "10")
    assert groups.indices.tolist() == [2, 1, 2, 0]


def test_many_numbers_are_bins_of_like_size():
    values = np.arange(60) / 10
    groups = groups_of(np.append(values, np.nan))
    assert np.bincount(groups.indices).tolist() == [10] * 6 + [1]
    assert groups.names[-1] == "unknown"
    assert groups.names[0] == "0 to 0.9833"


def test_of_many_texts_the_rarer_ones_are_one_group():
    groups = groups_of(np.array(["often"] * 3 + [f"rare {n}" for n in range(30)], object))
    assert len(groups.names) == 12
    assert groups.names[-1] == "others"
    assert np.bincount(groups.indices)[-1] == 20


def test_a_column_of_one_value_is_one_group():
    assert groups_of(np.array([2.5, 2.5])).names == ("2.5",)
