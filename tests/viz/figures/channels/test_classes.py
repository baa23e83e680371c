"""The figure of how a channel tells classes apart: what stands where."""

import numpy as np
import pytest

from features.channels import Selectivity
from viz.figures import channels as figures


def selectivity(auroc):
    """K classes of one channel, whose differences are twice what AUROC is above one half."""
    auroc = np.asarray(auroc, float)[:, None]  # (K, 1)
    difference = 2 * auroc - 1
    names = tuple(f"<class {number}>" for number in range(len(auroc)))
    return Selectivity(names, difference, difference - 0.2, difference + 0.2, auroc)


def test_classes_stand_by_their_auroc_with_difference_and_interval():
    dots, bars = figures.selective(selectivity([0.5, 0.9, 0.2]), 0, (3, 4, 5)).data
    np.testing.assert_allclose(dots.x, [0.8, 0, -0.6])
    np.testing.assert_allclose(dots.error_x.array, 0.2)
    np.testing.assert_allclose(dots.error_x.arrayminus, 0.2)
    np.testing.assert_allclose(np.add(bars.base, bars.x), [0.9, 0.5, 0.2])
    assert "&lt;class 1&gt;, 4 images" in dots.hovertext[0]


def test_an_interval_with_zero_is_drawn_hollow():
    dots = figures.selective(selectivity([0.55, 0.9]), 0, (3, 3)).data[0]
    sure, unsure = dots.marker.color
    assert sure != unsure
    assert unsure.endswith(" 0)")  # sees through


def test_of_many_classes_both_ends_are_shown_and_one_without_images_is_not():
    values = np.linspace(0, 1, 40)
    values[7] = np.nan
    bars = figures.selective(selectivity(values), 0, [1] * 40).data[1]
    assert len(bars.y) == figures.FIRST + figures.LAST
    assert np.add(bars.base, bars.x)[[0, -1]] == pytest.approx([1, 0])
    assert len(figures.selective(selectivity([np.nan, 0.5]), 0, (0, 2)).data[0].x) == 1
