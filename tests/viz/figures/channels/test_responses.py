"""The histogram of what images do to a channel."""

import numpy as np

from viz.figures import channels as figures


def test_the_histogram_has_a_bar_an_interval_and_one_line_for_equal_quantiles():
    figure = figures.histogram(np.array([5, 0, 2]), np.array([0.0, 1, 2, 3]), {"5%": 0.0, "50%": 0.0, "95%": 2.5})
    (bars,) = figure.data
    assert list(bars.x) == [0.5, 1.5, 2.5]
    assert list(bars.y) == [5, 0, 2]
    assert [each.text for each in figure.layout.annotations] == ["5% to 50%", "95%"]
    assert [line.x0 for line in figure.layout.shapes] == [0, 2.5]
