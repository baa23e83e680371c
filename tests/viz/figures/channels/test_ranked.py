"""The figure of a layer's channels in an order."""

import numpy as np

from features.channels import Ranked
from viz.figures.channels.ranked import FIRST, LAST, ranked_of


def test_of_many_channels_those_at_either_end_are_shown_with_what_they_are_ordered_by():
    figure = ranked_of(None, Ranked("layer1.0", "mean", np.arange(64)[::-1], np.linspace(1, 0, 64)))
    ticks = figure.layout.yaxis.ticktext
    assert len(ticks) == FIRST + LAST
    assert (ticks[0], ticks[-1]) == ("channel 63", "channel 0")
    assert (figure.data[0].x[0], figure.data[0].x[-1]) == (1, 0)
    assert figure.layout.xaxis.title.text == "mean, layer1.0"


def test_of_few_all_are_shown():
    figure = ranked_of(None, Ranked("stem", "mean", np.arange(3), np.ones(3)))
    assert figure.layout.yaxis.ticktext == ("channel 0", "channel 1", "channel 2")
