"""The figure of two networks' channels: what stands where."""

import numpy as np
import pytest

from features.channels import Beside, LayerBeside, matched
from features.progress import finish
from features.results import Provenance
from viz.figures import channels as figures

RANDOM = np.random.default_rng(0)


def beside(n_layers, constant=False):
    layers = []
    for number in range(n_layers):
        left, right = RANDOM.random((30, 5)), RANDOM.random((30, 7))
        matches = finish(matched(0 * left if constant else left, right, seed=number))
        layers.append(LayerBeside(f"layer{number}", (f"layer{number}.0", f"layer{number}.1"), matches))
    made = Provenance()
    return Beside(("one", "<other>"), tuple(layers), tuple(map(str, range(30))), 30, (made, made))


def test_medians_and_spreads_of_both_networks_stand_beside_each_other_with_what_chance_gives():
    told = beside(3)
    figure = figures.most_alike(told)
    for side in (0, 1):
        (dots,) = [trace for trace in figure.data if trace.hovertext and told.names[side][1:4] in trace.hovertext[0]]
        np.testing.assert_allclose(dots.y, [layer.matches[side].median for layer in told.layers])
        assert np.round(dots.x).tolist() == [0, 1, 2]
        bars = [trace for trace in figure.data if np.array_equal(trace.x, dots.x) and trace.error_y.array is not None]
        thick = max(bars, key=lambda trace: trace.error_y.thickness)
        halves = np.array([layer.matches[side].quantiles for layer in told.layers])
        np.testing.assert_allclose(thick.error_y.array, halves[:, 3] - halves[:, 2])
        dashes = [
            trace for trace in figure.data if np.array_equal(trace.x, dots.x) and trace.marker.symbol == "line-ew"
        ]
        np.testing.assert_allclose(dashes[0].y, [layer.matches[side].limit for layer in told.layers])
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == [
        "one", "&lt;other&gt;", "95 % by chance",
    ]  # fmt: skip
    assert figure.layout.xaxis.ticktext == ("layer0", "layer1", "layer2")


def test_layers_of_constant_channels_are_drawn_as_nothing():
    figure = figures.most_alike(beside(1, constant=True))
    assert np.isnan(figure.data[2].y).all()
    assert figure.layout.yaxis.range == pytest.approx((-0.03, 1.03))
