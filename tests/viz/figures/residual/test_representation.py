"""How far blocks move the representation, and what is read off it."""

import numpy as np

from tests.viz.figures.residual.made import STATISTICS, WIDTHS
from viz.figures.residual import representation


def test_a_cosine_of_input_and_output_is_drawn_where_the_shape_stays():
    figure = representation.movement(STATISTICS)
    line, dots = figure.data
    np.testing.assert_array_equal(line.y, STATISTICS.cka)
    assert tuple(dots.x) == ("layer1.0", "layer1.1", "layer2.1")
    np.testing.assert_allclose(dots.y, 0.5)


def test_the_head_is_drawn_on_the_blocks_that_it_fits():
    means, head = representation.readout(STATISTICS).data
    np.testing.assert_array_equal(means.y, STATISTICS.class_mean_accuracy)
    assert (tuple(head.x), tuple(head.y)) == (("layer3.0",), (0.95,))


def test_the_rank_stands_below_the_number_of_channels():
    channels, rank = representation.rank(STATISTICS).data
    np.testing.assert_array_equal(channels.y, WIDTHS)
    np.testing.assert_array_equal(rank.y, STATISTICS.effective_rank)
