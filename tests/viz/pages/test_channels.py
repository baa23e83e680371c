"""The Channels page: its views, what is chosen on it, and networks and images that have less to tell."""

import csv
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from features import selection
from features.datasets import open_images
from features.networks import filling
from features.networks.architecture import cifar
from features.networks.canonical import build
from tests.random_networks import randomise
from tests.viz.test_pages import errors, open_page, settle, shown
from viz.cached import warm_up

VIEWS = ("ranking", "one channel", "along depth")
BESIDE = "networks"
OWN = {"images": "a folder or zip of mine"}
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    monkeypatch.setattr(warm_up, "started", lambda: SimpleNamespace(device="the CPU", waiting=nullcontext))


def opened(view, **query):
    return open_page("channels", **({"limit": "100 images", "channels view": view} | query))


def captions(app):
    return shown(" ".join(text.value for text in app.caption))


def button(app, start):
    return next(each for each in app.button if each.label.startswith(start))


def headers(app):
    return [header.value for header in app.subheader]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """24 grey pictures, a list in which half have 'ant' and every third 'bee', and networks with and without a head."""
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    random = np.random.default_rng(0)
    (tmp_path / "plain").mkdir()
    for number in range(24):
        picture = Image.fromarray(random.integers(0, 256, (28, 28), np.uint8))
        picture.save(tmp_path / f"{number}.png")
        picture.save(tmp_path / "plain" / f"{number}.png")
    with (tmp_path / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "labels"))
        for number in range(24):
            rows.writerow((f"{number}.png", ";".join(["ant"] * (number % 2) + ["bee"] * (number % 3 == 0))))
    for name, classes in (("two", 2), ("none", None)):
        filling.save(randomise(build(cifar(8, classes=classes))), tmp_path / f"{name}.safetensors", {})
    return tmp_path


def test_the_ranking_shows_every_channel_of_the_layer_in_the_link_in_its_order():
    app = opened("ranking", layer="layer2.0", order="silent")
    assert not errors(app)
    table = app.dataframe[0].value
    assert sorted(table["channel"]) == list(range(32))
    assert (np.diff(table["silent"]) <= 0).all()
    assert len(app.get("bidi_component")) == 1  # the top patches


def test_an_order_about_a_class_is_of_the_chosen_class():
    app = opened("ranking", layer="layer3.2", order="class-auroc", **{"order class": "Sandal"})
    assert not errors(app)
    assert app.selectbox(key="order class").value == "Sandal"
    values = app.dataframe[0].value["AUROC for a class"].to_numpy()
    assert (np.diff(values) <= 0).all()
    assert values[0] > 0.8


def test_a_ticked_row_opens_the_channel():
    app = opened("ranking", layer="layer2.0")
    channel = int(app.dataframe[0].value["channel"].iloc[3])
    app.session_state["channels of a layer"] = {"selection": {"rows": [3], "columns": [], "cells": []}}
    app = opened("one channel", layer="layer2.0", channel=str(channel))
    assert not errors(app)
    assert app.number_input(key="channel").value == channel


@pytest.mark.parametrize("excited", ["most", "at quantiles", "least"])
def test_a_channel_is_told_with_its_images_classes_responses_and_readers(excited):
    app = opened("one channel", layer="layer2.0", channel="3", excited=excited)
    assert not errors(app)
    assert headers(app) == [
        "Images that excite it", "What it tells apart", "How strongly images excite it", "Which channels read it",
        "Without it",
    ]  # fmt: skip
    assert len(app.get("plotly_chart")) == 3
    assert "exact only of the last layer" in captions(app)
    assert "receptive field" in captions(app)
    assert len(app.get("bidi_component")) == 1


def test_where_a_channel_answers_is_laid_over_the_images_and_the_last_layer_has_logits():
    app = opened("one channel", where="true")
    assert not errors(app)
    assert "Maps share one scale" in captions(app)
    assert "What it adds to the logits" in headers(app)
    assert "the sums over all channels are the mean logits" in captions(app)
    assert len(app.get("plotly_chart")) == 3  # classes, responses, logits


def test_its_images_become_the_selection():
    app = opened("one channel", layer="layer2.0", channel="3")
    button(app, "Select these 16").click().run()
    settle(app)
    kept = selection.kept(app.session_state["selection"])
    assert len(kept) == 16
    assert kept.images == open_images("sample").sample(100).digest
    button(app, "Select 1").click().run()  # those above the quantile of 90 %
    assert 10 <= len(selection.kept(app.session_state["selection"])) <= 11


def test_a_channel_that_the_network_or_the_layer_does_not_have_gives_way_to_one_that_it_has():
    app = opened("one channel", layer="layer9.9", channel="9999")
    assert not errors(app)
    assert app.number_input(key="channel").value == 0


def test_what_is_lost_without_a_channel_is_measured_when_somebody_asks():
    app = opened("one channel", layer="layer2.0", channel="3")
    assert "Accuracy without it" not in {metric.label for metric in app.metric}
    button(app, "Measure what is lost").click().run()
    settle(app)
    assert not errors(app)
    assert {"Accuracy with it", "Accuracy without it", "Same prediction"} <= {metric.label for metric in app.metric}


def test_all_channels_are_ranked_by_what_is_lost_without_each_once_that_was_measured():
    app = opened("ranking", layer="layer3.2", limit="100 images")
    assert "lost" not in app.selectbox(key="order").options
    button(app, "Measure accuracy without each").click().run()
    settle(app)
    assert "accuracy lost without it" in app.selectbox(key="order").options
    app.selectbox(key="order").set_value("lost").run()
    assert (np.diff(app.dataframe[0].value["accuracy lost without it"]) <= 0).all()


def test_all_pages_show_the_network_without_a_channel():
    app = opened("one channel", layer="layer2.0", channel="3")
    button(app, "Have all pages").click().run()
    settle(app)
    assert app.session_state["network_lesion"] == "without:layer2.0:3"
    assert not errors(app)
    assert any(metric.label == "Silent" and metric.value == "100.0%" for metric in app.metric)


def test_layers_are_compared_along_depth():
    app = opened("along depth")
    assert not errors(app)
    table = app.dataframe[0].value
    assert list(table["layer"])[:2] == ["stem", "layer1.0"]
    assert table["best_auroc"].between(0.5, 1).all()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("source", "network"), [("list.csv", "two"), ("plain", "two"), ("plain", "none")])
def test_images_of_many_labels_or_none_and_networks_without_a_head_have_their_pages(pictures, view, source, network):
    weights = {"model": "a file of mine", "weights": str(pictures / f"{network}.safetensors")}
    app = opened(view, **OWN, folder=str(pictures / source), **weights)
    assert not errors(app)
    labelled = source == "list.csv"
    if view == "one channel":
        assert ("have no labels" in captions(app)) is not labelled
        assert ("has no classifier" in captions(app)) is (network == "none")
    if view == "ranking":
        assert ("best AUROC" in app.selectbox(key="order").options) is labelled


@pytest.mark.parametrize("view", VIEWS)
def test_one_image_is_enough(tmp_path, monkeypatch, view):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    Image.fromarray(np.full((28, 28), 90, np.uint8)).save(tmp_path / "one.png")
    app = opened(view, **OWN, folder=str(tmp_path), excited="at quantiles")
    assert not errors(app)


@pytest.mark.parametrize("other", ["plain20-fashion", "resnet20-fashion?lesion=without:layer2.0:1,5"])
def test_two_networks_stand_beside_each_other_with_the_images_of_a_pair(other):
    app = opened(BESIDE, **{"beside network": other})
    assert not errors(app)
    assert app.get("plotly_chart")
    assert "correlates with most" in captions(app)
    pairs = next(each.value for each in app.dataframe if "match" in each.value)
    assert len(pairs) == 64
    assert (np.diff(pairs["correlation"]) <= 0).all()


def test_the_images_of_a_pair_become_the_selection():
    app = opened(BESIDE, **{"beside network": "plain20-fashion"})
    button(app, "Select these 9").click().run()
    settle(app)
    assert len(selection.kept(app.session_state["selection"])) == 9


def test_channels_of_the_other_network_and_of_every_block_are_told_too():
    query = {"beside network": "plain20-fashion", "every block": "true", "beside layer": "layer2.0"}
    app = opened(BESIDE, **query, **{"channels of": "plain20-fashion"})
    assert not errors(app)
    assert "layer2.1" in app.select_slider(key="beside layer").options
    assert len(next(each.value for each in app.dataframe if "match" in each.value)) == 32
    assert "plain20-fashion" in shown(app.markdown[1].value)


def test_a_channel_of_a_pair_is_opened():
    app = opened(BESIDE, **{"beside network": "plain20-fashion"})
    channel = int(next(each.value for each in app.dataframe if "match" in each.value)["channel"].iloc[0])
    button(app, "Open the channel").click().run()
    settle(app)
    assert not errors(app)
    assert app.number_input(key="channel").value == channel


def test_without_another_network_one_is_asked_for_and_one_that_is_none_is_refused():
    assert "Choose a network" in opened(BESIDE).info[0].value
    assert "no network" in shown(errors(opened(BESIDE, **{"beside network": "nothing-of-this-name"}))).lower()


def selected(rows):
    images = open_images("sample").sample(100)
    return selection.keep(selection.Selection(images.digest, np.asarray(rows, np.int64), len(images)))


def test_what_sets_the_selection_apart_is_told_beside_all_others_and_beside_another_one():
    images = open_images("sample").sample(100)
    key = selected(np.flatnonzero(images.labels == 1))
    app = opened("selection", selection=key, layer="layer3.2")
    assert not errors(app)
    assert "**10** selected images beside **90** others" in shown(app.markdown[0].value)
    table = app.dataframe[0].value
    assert sorted(table["channel"]) == list(range(64))
    assert table["auroc"].iloc[0] > 0.95
    assert (np.diff(np.abs(table["auroc"] - 0.5)) <= 1e-12).all()
    selection.name(selection.Selection(images.digest, np.flatnonzero(images.labels == 2), 100), "pullovers")
    app = opened("selection", selection=key, layer="layer3.2")
    app.selectbox(key="selected beside").set_value("pullovers").run()
    settle(app)
    assert "**10** selected images beside **10** others" in shown(app.markdown[0].value)


def test_the_selection_is_compared_with_the_rest_also_where_pages_are_about_it_alone():
    app = opened("selection", selection=selected(range(30)), of="the selection")
    assert not errors(app)
    assert "**30** selected images beside **70** others" in shown(app.markdown[0].value)


def test_nothing_selected_or_one_image_says_what_to_do():
    assert "Nothing is selected" in opened("selection").info[0].value
    assert "Two images on both sides" in shown(errors(opened("selection", selection=selected([3]))))


def test_another_network_stays_from_view_to_view_until_it_is_taken_away():
    app = opened(BESIDE, **{"beside network": "plain20-fashion", "beside layer": "layer1"})
    for view in ("ranking", BESIDE):
        app.segmented_control(key="channels view").set_value(view).run()
        settle(app)
    assert app.selectbox(key="beside network").value == "plain20-fashion"
    assert app.select_slider(key="beside layer").value == "layer1"
    app.selectbox(key="beside network").set_value(None).run()
    assert "Choose a network" in app.info[0].value
    assert "beside network" not in app.query_params
