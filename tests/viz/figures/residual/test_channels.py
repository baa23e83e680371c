"""Channels of which it is known how often they are silent."""

from dataclasses import replace

import numpy as np
import pytest

from tests.viz.figures.residual.made import BLOCKS, SHORTCUTS, STATISTICS, WIDTHS, channels_with
from viz import theme
from viz.figures.residual import channels


def test_a_bar_shows_the_share_below_zero_of_every_block():
    figure = channels.negative(STATISTICS)
    (bar,) = figure.data
    assert tuple(bar.x) == BLOCKS
    np.testing.assert_array_equal(bar.y, STATISTICS.negative)
    assert list(bar.marker.color) == [theme.SHORTCUT_COLOURS[kind] for kind in SHORTCUTS]
    assert figure.layout.yaxis.range == (0, 1)


def test_a_bar_shows_the_share_of_dead_channels_and_the_pointer_their_number():
    (bar,) = channels.dead(STATISTICS).data
    np.testing.assert_array_equal(bar.y, [0, 0.125, 0, 0.25, 0])
    np.testing.assert_array_equal(bar.customdata, [[0, 16], [2, 16], [0, 32], [8, 32], [0, 64]])


def says_none_is_dead(figure):
    return any("no dead channel" in note.text for note in figure.layout.annotations)


def test_a_network_without_dead_channels_says_so_and_one_with_some_does_not():
    alive = replace(STATISTICS, channels=channels_with([0] * 5))
    assert says_none_is_dead(channels.dead(alive))
    assert not says_none_is_dead(channels.dead(STATISTICS))


@pytest.mark.parametrize("dead", [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 32, 0]], ids=["none", "one", "all"])
def test_the_highest_bar_of_dead_channels_fits_and_the_axis_ends_at_one(dead):
    figure = channels.dead(replace(STATISTICS, channels=channels_with(dead)))
    low, high = figure.layout.yaxis.range
    assert low == 0
    assert max(figure.data[0].y) <= high <= 1
    assert high > 0


def test_channels_are_sorted_by_how_often_they_are_silent_on_one_scale():
    (heat,) = channels.silent(STATISTICS).data
    assert (heat.zmin, heat.zmax) == (0, 1)
    for column in np.array(heat.z).T:
        np.testing.assert_allclose(column, np.linspace(0, 1, len(column)), atol=1e-6)


def test_scales_of_the_last_batchnorm_are_drawn_without_their_sign_and_left_out_where_there_is_none():
    (dots,) = channels.gamma(STATISTICS).data
    np.testing.assert_allclose(dots.y, [np.median(np.abs(np.linspace(-1, 1, width))) for width in WIDTHS])
    bare = tuple(replace(found, gamma=None) for found in STATISTICS.channels)
    assert channels.gamma(replace(STATISTICS, channels=bare)) is None
