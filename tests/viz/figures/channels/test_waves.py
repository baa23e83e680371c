"""The figure of filters by frequency and orientation."""

import numpy as np
import pytest

from features import channels
from tests.channels.made import drawn_model
from tests.networks.unusual import BASIC
from viz import theme
from viz.figures.channels import waves


@pytest.fixture
def filters():
    return channels.filters(drawn_model(BASIC))


def test_every_filter_is_a_point_at_its_frequency_and_orientation(filters):
    *traces, chosen = waves(filters, 3).data
    told = {int(each[0]): (r, angle) for trace in traces for each, r, angle in
            zip(trace.customdata, trace.r, trace.theta, strict=True)}  # fmt: skip
    assert sorted(told) == list(range(8))
    assert told[4] == (filters.waves.frequency[4], np.nan_to_num(filters.waves.orientation[4]))
    assert (chosen.r[0], chosen.theta[0]) == (filters.waves.frequency[3], np.nan_to_num(filters.waves.orientation[3]))


def test_filters_of_colour_are_told_apart_from_grey_ones(filters):
    filters.colour[:] = [0.9, *[0.1] * 7]
    grey, colour, _ = waves(filters, 0).data
    assert (len(grey.r), len(colour.r)) == (7, 1)
    assert (grey.marker.color, colour.marker.color) == (theme.BLUE, theme.ORANGE)
    filters.colour[:] = 0
    assert len(waves(filters, 0).data) == 2
    assert not waves(filters, 0).data[0].showlegend


def test_a_filter_without_orientation_lies_in_the_centre(filters):
    filters.waves.orientation[2], filters.waves.frequency[2] = np.nan, 0
    *_, chosen = waves(filters, 2).data
    assert (chosen.r[0], chosen.theta[0]) == (0, 0)
