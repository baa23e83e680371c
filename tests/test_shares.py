"""Shares of counts and their intervals."""

import pytest

from features.shares import Share


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_share_has_wilsons_interval(hits, n, low, high):
    """As in Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3."""
    assert Share(hits, n).interval == pytest.approx((low, high), abs=5e-5)


def test_all_and_none_reach_the_end_of_the_scale():
    assert Share(7, 7).interval[1] == pytest.approx(1)
    assert Share(0, 7).interval[0] == pytest.approx(0)
    assert Share(1, 4).as_dict()["value"] == 0.25
