import io
from base64 import b64decode
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from features import rasters
from features.networks.card import Outputs
from features.predictions import likeliest
from features.saliency import Tap
from viz import theme
from viz.figures import saliency

NAMES = ("ape", "bat", "cat", "dog", "elk", "fox", "gnu")
PROBABILITIES = np.array([0.02, 0.3, 0.05, 0.25, 0.08, 0.2, 0.1], dtype=np.float32)


def bars(figure):
    """[(name, probability, colour), ...] from top to bottom, as they are read."""
    (trace,) = figure.data
    axis = figure.layout.yaxis
    names = dict(zip(axis.tickvals, axis.ticktext, strict=True))
    assert axis.autorange == "reversed"
    assert trace.orientation == "h"
    assert len(set(trace.y)) == len(trace.y), "bars lie on top of each other"
    rows = sorted(zip(trace.y, trace.x, trace.marker.color, trace.hovertext, strict=True))
    assert all(names[place] == hovered for place, _, _, hovered in rows)
    return [(names[place], value, colour) for place, value, colour, _ in rows]


def top_classes(probabilities, names=NAMES, explained=0, outputs=Outputs.MULTICLASS):
    """As the page draws them."""
    return saliency.top_classes(probabilities, names, explained, likeliest(probabilities[None])[0].tolist(), outputs)


def test_the_five_likeliest_classes_are_shown_from_the_likeliest_down():
    shown = bars(top_classes(PROBABILITIES, explained=1))
    assert [name for name, _, _ in shown] == ["bat", "dog", "fox", "gnu", "elk"]
    np.testing.assert_allclose([value for _, value, _ in shown], [0.3, 0.25, 0.2, 0.1, 0.08])


def test_classes_that_are_asked_for_are_shown_in_their_order():
    shown = bars(saliency.top_classes(PROBABILITIES, NAMES, 1, [6, 1], Outputs.MULTICLASS))
    assert [name for name, _, _ in shown] == ["gnu", "bat"]


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [(Outputs.MULTICLASS, "softmax"), (Outputs.BINARY, "sigmoid"), (Outputs.MULTILABEL, "sigmoid")],
)
def test_the_axis_says_what_made_probabilities_of_the_logits(outputs, wanted):
    figure = top_classes(np.array([0.25, 0.75]), outputs=outputs)
    assert figure.layout.xaxis.title.text == f"probability ({wanted})"


@pytest.mark.parametrize("explained", [1, 5])
def test_the_explained_class_alone_has_another_colour(explained):
    shown = bars(top_classes(PROBABILITIES, explained=explained))
    colours = {name: colour for name, _, colour in shown}
    assert colours.pop(NAMES[explained]) == theme.ORANGE
    assert set(colours.values()) == {theme.BLUE}


def test_no_bar_is_marked_when_the_explained_class_is_not_among_the_five():
    shown = bars(top_classes(PROBABILITIES))
    assert {colour for _, _, colour in shown} == {theme.BLUE}


@pytest.mark.parametrize("n_classes", [1, 2, 4])
def test_a_network_of_few_classes_shows_them_all(n_classes):
    probabilities = np.arange(1, n_classes + 1) / (n_classes * (n_classes + 1) / 2)
    shown = bars(top_classes(probabilities))
    assert [name for name, _, _ in shown] == list(NAMES[:n_classes][::-1])


def test_two_classes_of_one_name_keep_a_bar_each():
    names = ("maillot", "maillot", "sarong")
    shown = bars(top_classes(np.array([0.3, 0.6, 0.1]), names))
    assert shown == [("maillot", 0.6, theme.BLUE), ("maillot", 0.3, theme.ORANGE), ("sarong", 0.1, theme.BLUE)]


def test_equally_likely_classes_stand_in_the_networks_order():
    shown = bars(top_classes(np.full(7, 1 / 7)))
    assert [name for name, _, _ in shown] == list(NAMES[:5])


def test_classes_that_are_called_by_numbers_keep_their_names():
    shown = bars(top_classes(np.array([0.2, 0.5, 0.3]), ("7", "3", "10")))
    assert [name for name, _, _ in shown] == ["3", "10", "7"]


def test_bars_of_any_two_images_can_be_compared():
    for probabilities in (PROBABILITIES, np.array([0.5, 0.5])):
        low, high = top_classes(probabilities).layout.xaxis.range
        assert low == 0
        assert high >= 1


def test_every_bar_tells_its_probability():
    (trace,) = top_classes(np.array([0.625, 0.25, 0.125])).data
    assert trace.text == ("62.5%", "25.0%", "12.5%")


def test_a_ledger_climbs_from_zero_to_the_logit():
    figure = saliency.ledger(["shortcut", "layer3.0"], np.array([2.0, -0.5]), 0.25, 1.75, "a <b>")
    (trace,) = figure.data
    assert list(trace.measure) == ["relative", "relative", "relative", "total"]
    assert list(trace.y) == [2.0, -0.5, 0.25, 1.75]
    assert list(figure.layout.xaxis.ticktext) == ["shortcut", "branch layer3.0", "bias", "logit"]
    assert "&lt;b&gt;" in figure.layout.yaxis.title.text


def test_shares_are_of_branch_and_shortcut_together_and_zero_where_both_are():
    figure = saliency.shares(["a", "b"], np.array([3.0, 0.0]), np.array([1.0, 0.0]))
    assert list(figure.data[0].y) == [0.75, 0.0]


# --- maps over what a network sees -----------------------------------------------------------------------------------


def pixels_of(image):
    return np.asarray(Image.open(io.BytesIO(b64decode(image.source.partition(",")[2]))))


def test_every_map_lies_over_what_the_network_sees():
    seen = np.full((4, 4, 3), 200, np.uint8)
    maps = {Tap(name): np.full((1, 2, 2), value, np.float32) for name, value in (("a", 0), ("b", 1))}
    figure = saliency.overlays(seen, SimpleNamespace(maps=maps))
    shown = [pixels_of(trace) for trace in figure.data]
    assert [title.text for title in figure.layout.annotations] == ["input", "a", "b"]
    assert (shown[0] == 200).all()
    for values, share in ((shown[1], 0), (shown[2], 255)):  # what speaks for nothing, and for most
        heat = rasters.colour_table("Inferno")[share]
        assert np.abs(values - (0.45 * 200 + 0.55 * heat)).max() <= 1
