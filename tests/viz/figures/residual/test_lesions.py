"""Lesions made by hand, and what is drawn of them."""

from dataclasses import replace

import numpy as np
import pytest

from features import residual
from features.residual import Sweep
from features.results import Provenance
from tests.viz.figures.residual.made import BLOCKS, STATISTICS
from viz import theme
from viz.figures.residual import lesions


def swept(made, accuracy, intact=0.9):
    values = np.array(accuracy, dtype=float)
    half = np.full(len(values), 0.5)
    return Sweep(tuple(made), values, half, values / 2, half, intact, 0.8, 21, (), Provenance())


WITHOUT = swept(map(residual.without, BLOCKS), [0.1, 0.5, 0.6, 0.7, 0.8])


def by_name(figure):
    return {trace.name: trace for trace in figure.data}


def test_bars_of_what_is_left_stand_above_the_ratio_in_the_colours_of_the_shortcuts():
    found = by_name(lesions.without(STATISTICS, WITHOUT))
    identity, padding = found["identity shortcut"], found["padding shortcut"]
    assert dict(zip(identity.x, identity.y, strict=True)) == {"layer1.0": 0.1, "layer1.1": 0.5, "layer2.1": 0.7}
    assert padding.marker.color == theme.SHORTCUT_COLOURS["padding"]
    below = lesions.without(STATISTICS, WITHOUT).data[-1]
    assert (below.yaxis, tuple(below.x)) == ("y2", BLOCKS)
    np.testing.assert_allclose(below.y, np.median(STATISTICS.ratios, axis=0))


def test_without_labels_bars_show_how_often_the_prediction_stays():
    unknown = replace(WITHOUT, intact_accuracy=float("nan"), accuracy=np.full(5, np.nan))
    figure = lesions.without(STATISTICS, unknown)
    assert figure.data[0].y[0] == WITHOUT.agreement[0]
    assert "same prediction" in figure.layout.yaxis.title.text


def test_a_plain_network_has_bars_and_no_ratio():
    nothing = {part: np.zeros((21, 5), np.float32) for part in STATISTICS.norms}
    figure = lesions.without(replace(STATISTICS, norms=nothing), WITHOUT)
    (bar,) = [trace for trace in figure.data if len(trace.x)][:1]
    assert {trace.type for trace in figure.data} == {"bar"}
    assert set(bar.x) <= set(figure.layout.xaxis.categoryarray) == set(BLOCKS)
    assert "yaxis2" not in figure.layout.to_plotly_json()


def test_networks_are_compared_by_one_number_even_if_one_has_no_accuracy():
    unknown = replace(WITHOUT, intact_accuracy=float("nan"), accuracy=np.full(5, np.nan))
    figure = lesions.twins({"a": WITHOUT, "b": unknown})
    for trace in figure.data:
        np.testing.assert_array_equal(trace.y, WITHOUT.agreement)
    assert figure.layout.yaxis.title.text == "same prediction without it"


def test_twins_lie_over_each_other_along_depth():
    one, other = lesions.twins({"a": WITHOUT, "<b>": WITHOUT}).data
    np.testing.assert_allclose(one.x, [0, 0.25, 0.5, 0.75, 1])
    assert other.name == "&lt;b&gt;"


def test_random_lesions_show_every_draw_their_mean_and_their_spread():
    made = [replace(residual.without(*BLOCKS[:count]), seed=seed) for count in (1, 2) for seed in (0, 1, 2)]
    draws, means = lesions.random(swept(made, [0.9, 0.8, 0.7, 0.3, 0.3, 0.3])).data
    assert list(draws.x) == [1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(means.y, [0.8, 0.3])
    np.testing.assert_allclose(means.error_y.array, [0.1, 0], atol=1e-12)


def test_scaled_branches_stand_at_their_block_and_factor():
    made = [residual.scaled(factor, block) for block in BLOCKS for factor in (2.0, -1.0)]
    (heat,) = lesions.scaled(swept(made, np.arange(10) / 10), STATISTICS).data
    assert tuple(heat.y) == ("-1", "1", "2")
    np.testing.assert_allclose(heat.z[2], [0, 0.2, 0.4, 0.6, 0.8])
    np.testing.assert_allclose(heat.z[1], WITHOUT.intact_accuracy)
    np.testing.assert_allclose(heat.z[0], [0.1, 0.3, 0.5, 0.7, 0.9])


def test_swapped_neighbours_are_named_as_pairs():
    (bar,) = lesions.swapped(swept([residual.swapped("layer1.0", "layer1.1")], [0.4])).data
    assert tuple(bar.x) == ("layer1.0 ↔ layer1.1",)


@pytest.mark.parametrize("dark", [False, True])
def test_every_panel_is_written_in_the_inks_of_the_theme(dark):
    layout = theme.ink(lesions.without(STATISTICS, WITHOUT), dark).layout
    assert layout.xaxis2.tickfont.color == layout.yaxis.tickfont.color == layout.font.color
