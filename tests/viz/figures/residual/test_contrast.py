"""Differences of two classes, sure ones and others."""

import numpy as np

from features.residual import Contrast
from tests.viz.figures.residual.made import BLOCKS, STAGES
from viz.figures.residual import contrast


def test_differences_that_are_sure_are_filled_and_the_others_hollow():
    effect, q = np.array([1.0, -2.0, 0.1, np.nan, 0.5]), np.array([0.01, 0.001, 0.9, np.nan, 0.06])
    found = Contrast(
        BLOCKS, STAGES, ("ant", "<cat>"), (7, 7), "ratio", np.ones((2, 5)), effect, effect - 1, effect + 1, q, q
    )
    sure, chance = contrast.effects(found).data
    assert tuple(sure.x) == ("layer1.0", "layer1.1")
    assert chance.marker.symbol == "circle-open"
    assert "&lt;cat&gt;" in contrast.effects(found).layout.yaxis.title.text
