"""The figure of what sets a selection apart: the surest channels on top, with their numbers."""

import numpy as np

from features.channels import Apart
from viz.figures import channels as figures

AUROC = np.array([0.5, 0.1, 0.7, np.nan, 0.95])
DIFFERENCE = np.array([0.0, -2.0, 0.4, 0.0, 3.0])
APART = Apart(
    "layer3", DIFFERENCE + 1, np.ones(5), DIFFERENCE, DIFFERENCE - 0.5, DIFFERENCE + 0.5, AUROC, n_images=4, n_others=9
)


def test_channels_stand_by_how_far_their_auroc_is_from_chance():
    dots, bars = figures.set_apart(APART, 3).data
    np.testing.assert_allclose(np.add(bars.base, bars.x), [0.95, 0.1, 0.7])
    np.testing.assert_allclose(dots.x, [3, -2, 0.4])
    np.testing.assert_allclose(dots.error_x.array, 0.5)
    assert dots.hovertext[1].startswith("channel 1: mean -1, of the others 1<br>difference -2 (-2.5 to -1.5)")
    assert dots.marker.color[0] != dots.marker.color[2]  # whose interval holds 0


def test_of_fewer_channels_all_are_shown():
    assert len(figures.set_apart(APART, 12).data[0].x) == 5
