"""The figure of an ascent."""

import numpy as np
import pytest

from viz.figures.channels import ascent

CURVE = np.array([0.1, 0.5, 0.9], np.float32)


def test_it_shows_every_step_and_where_it_ends():
    figure = ascent(CURVE, 1.2, None)
    assert figure.data[0].y == pytest.approx(CURVE)
    assert (figure.data[1].x[0], figure.data[1].y[0]) == (3, 1.2)
    assert not figure.layout.shapes


def test_the_most_that_images_reach_is_a_line():
    figure = ascent(CURVE, 1.2, 0.75)
    assert figure.layout.shapes[0].y0 == 0.75
    assert "0.75" in figure.layout.annotations[0].text
