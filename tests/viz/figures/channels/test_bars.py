"""Bars of named things, and which of many are shown."""

import numpy as np
import pytest

from viz.figures import channels as figures


def test_bars_stand_in_their_order_and_names_are_shown_as_they_are():
    (bars,) = figures.bars(("<a>", "b"), np.array([2.0, -1.0]), "norm").data
    assert list(bars.x) == [2, -1]
    assert bars.hovertext[0] == "&lt;a&gt;"
    assert bars.marker.color[0] != bars.marker.color[1]


@pytest.mark.parametrize(("first", "last", "wanted"), [(2, 1, [3, 1, 0]), (3, 1, [3, 1, 2, 0])])
def test_both_ends_are_in_falling_order(first, last, wanted):
    assert figures.at_both_ends(np.array([0.0, 8.0, 1.0, 9.0]), first, last).tolist() == wanted
