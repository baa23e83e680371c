"""The views of the Channels page that show pictures: one image's maps, filters, activation maximisation."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from features.networks import filling
from features.networks.architecture import cifar
from features.networks.canonical import build
from tests.random_networks import randomise
from tests.viz.pages.test_channels import OWN, button, captions, headers, opened
from tests.viz.test_pages import errors, settle
from viz.cached import warm_up

ONE_IMAGE, FILTERS, SOUGHT = "one image", "filters", "activation maximisation"
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    monkeypatch.setattr(warm_up, "started", lambda: SimpleNamespace(device="the CPU", waiting=nullcontext))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A picture, an image of five planes, and networks of several inputs or no head: name -> what a link says."""
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "one.png")
    (tmp_path / "planes").mkdir()
    np.save(tmp_path / "planes" / "five.npy", np.random.default_rng(0).uniform(0, 255, (32, 32, 5)).astype(np.float32))
    shape = cifar(8, classes=3)
    shapes = {"colours": shape, "grey": replace(shape, in_channels=1), "planes": replace(shape, in_channels=5)}
    for name, each in (shapes | {"headless": cifar(8, classes=None)}).items():
        filling.save(randomise(build(each)), tmp_path / f"{name}.safetensors", {})

    def said(name):
        images = OWN | {"folder": str(tmp_path / ("planes" if name == "planes" else "images"))}
        return images | {"model": "a file of mine", "weights": str(tmp_path / f"{name}.safetensors")}

    return said


def labels(app):
    return {metric.label: metric.value for metric in app.metric}


def test_one_image_s_maps_are_shown_with_the_strongest_enlarged():
    app = opened(ONE_IMAGE, layer="layer2.0")
    assert not errors(app)
    assert "All 32 channels of layer2.0, the output, 14 × 14 positions each" in captions(app)
    assert "Evidence for" in captions(app)
    assert {"Maximum", "Mean", "Evidence"} <= {*labels(app)}
    assert len(app.get("bidi_component")) == 3  # the strip, the maps, the one over the picture
    strongest = app.number_input(key="channel").value
    app.selectbox(key="maps by").set_value("index").run()
    assert app.number_input(key="channel").value == strongest
    assert "by number" in captions(app)


@pytest.mark.parametrize("part", ["sum", "branch", "shortcut"])
def test_parts_of_a_block_have_colours_for_both_signs_and_the_stem_has_none(part):
    app = opened(ONE_IMAGE, layer="layer2.1", **{"maps of": part})
    assert not errors(app)
    assert "orange is above 0, blue below" in captions(app)
    assert "measured of outputs alone" in captions(app)
    app = opened(ONE_IMAGE, layer="stem", **{"maps of": part})
    assert not errors(app)
    assert app.selectbox(key="maps of").options == ["the output"]


def test_a_class_against_another_and_a_class_against_itself():
    app = opened(ONE_IMAGE, layer="layer3.2")
    app.selectbox(key="for class").set_value("Bag (8)").run()
    app.selectbox(key="and not").set_value("Coat (4)").run()
    assert not errors(app)
    assert "Evidence for Bag against Coat" in captions(app)
    app.selectbox(key="and not").set_value("Bag (8)").run()
    assert "set against itself" in errors(app)


def test_an_image_stands_among_those_of_the_set_once_these_were_measured(own):
    app = opened(ONE_IMAGE, layer="layer2.0", channel="3", **own("colours"))
    assert not errors(app)
    assert "of them excite" not in captions(app)
    button(app, "Measure what channels answer to the set").click().run()
    settle(app)
    assert not errors(app)
    assert "0.0% of them excite the channel less than this one does" in captions(app)
    assert len(app.get("plotly_chart")) == 1


def test_filters_are_shown_with_the_chosen_one_s_wave():
    app = opened(FILTERS, filter="5", **{"filters by": "norm"})
    assert not errors(app)
    assert app.selectbox(key="filters by").value == "norm"
    assert headers(app)[:2] == ["Filter 5", "Kernels of later layers"]
    assert {"Frequency", "Orientation", "Wave's share", "Colour", "Norm"} <= {*labels(app)}
    assert labels(app)["Colour"] == "0%"
    assert "The 16 filters of the first convolution, in grey" in captions(app)
    assert len(app.get("plotly_chart")) == 1
    for order in ("norm", "frequency", "orientation", "colour"):
        app.selectbox(key="filters by").set_value(order).run()
        assert not errors(app)


def test_kernels_of_later_layers_come_when_they_are_wanted():
    app = opened(FILTERS, kernels="true", layer="layer2.0")
    assert not errors(app)
    assert "They are channels of layer1.2" in captions(app)
    app.selectbox(key="convolution of 2").set_value(1).run()
    assert not errors(app)
    assert "They are channels of" not in captions(app)


@pytest.mark.parametrize("name", ["colours", "grey", "planes", "headless"])
@pytest.mark.parametrize("view", [ONE_IMAGE, FILTERS, SOUGHT])
def test_networks_of_any_input_and_without_a_head_have_their_views(own, view, name):
    app = opened(view, **own(name))
    assert not errors(app)
    if view == FILTERS:
        told = {"grey": "in grey", "planes": "plane by plane"}
        assert told.get(name, "in its colours") in captions(app)
    if view == ONE_IMAGE:
        assert ("Evidence" in labels(app)) is (name != "headless")


def test_a_picture_is_sought_when_somebody_asks_and_says_what_it_is_not():
    app = opened(SOUGHT, layer="layer1.0", channel="2")
    assert not errors(app)
    assert "This is not what the network sees" not in captions(app)
    app.number_input(key="steps").set_value(3).run()
    button(app, "Seek a picture for channel 2 of layer1.0").click().run()
    settle(app)
    assert not errors(app)
    assert "This is not what the network sees, nor an image that it was trained on" in captions(app)
    assert len(app.get("plotly_chart")) == 1
    opened("one channel", layer="layer1.0", channel="2")
    app = opened(SOUGHT, layer="layer1.0", channel="2", steps="3")
    settle(app)
    assert "times the most that any of 100 images reaches" in captions(app)
    assert "highest maxima of the set" in captions(app)
