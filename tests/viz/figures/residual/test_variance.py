"""The parts of variances that are known."""

import numpy as np

from tests.viz.figures.residual.made import STATISTICS
from viz.figures.residual import variance


def bars(figure):
    return {trace.name: trace for trace in figure.data}


def test_the_parts_of_the_variance_add_up_to_that_of_the_sum():
    found = bars(variance.budget(STATISTICS))
    shares = [trace.y for trace in found.values()]
    np.testing.assert_allclose(np.sum(shares, axis=0), 1)
    np.testing.assert_allclose(found["shortcut"].y, 0.25)
    np.testing.assert_allclose(found["branch"].y, 0.5)  # and the rest is twice the covariance


def test_signals_are_drawn_as_averages_over_channels():
    found = bars(variance.propagation(STATISTICS))
    scales = 10.0 ** np.arange(5)
    np.testing.assert_allclose(found["output: average channel variance"].y, 3 * scales)
    np.testing.assert_allclose(found["branch: average channel variance"].y, 2 * scales)
    np.testing.assert_allclose(found["output: average channel squared mean"].y, 1)
