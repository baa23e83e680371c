"""The figure of all layers along depth."""

import numpy as np

from features.channels import AlongDepth
from viz.figures import channels as figures


def along_depth(labelled):
    quantiles = np.tile([0.1, 0.2, 0.3, 0.4, 0.5], (3, 1))
    auroc = quantiles + 0.4 if labelled else np.full((3, 5), np.nan)
    best = np.array([4, 0, 2]) if labelled else np.full(3, -1)
    names = ("stem", "layer1.0", "layer1.1")
    return AlongDepth(names, (8, 8, 8), quantiles, np.zeros(3, int), auroc, best, np.full(3, 0.95), ("<a>", "b", "c"))


def test_layers_stand_along_depth_with_the_spread_of_their_channels_and_the_best_one():
    figure = figures.along_depth(along_depth(labelled=True))
    assert list(figure.layout.xaxis.categoryarray) == ["stem", "layer1.0", "layer1.1"]
    thin, thick, dots = figure.data[:3]
    np.testing.assert_allclose(thin.error_y.array, 0.2)
    np.testing.assert_allclose(thick.error_y.array, 0.1)
    np.testing.assert_allclose(dots.y, 0.3)
    best = figure.data[-1]
    assert best.hovertext[0] == "channel 4, &lt;a&gt;"
    assert list(best.y) == [0.95] * 3


def test_without_labels_there_is_one_panel():
    figure = figures.along_depth(along_depth(labelled=False))
    assert len(figure.data) == 3
    assert "yaxis2" not in figure.layout
