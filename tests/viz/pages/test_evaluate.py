"""The Evaluation page: its scores, its selections, its views, and networks and images that have less to tell."""

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
from features.selection import Selection
from tests.random_networks import randomise
from tests.viz.test_pages import errors, open_page, settle, shown
from viz.cached import warm_up

VIEWS = ("confusion", "classes", "calibration", "hardest images", "retrieval")
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    monkeypatch.setattr(warm_up, "started", lambda: SimpleNamespace(device="the CPU", waiting=nullcontext))


def write_pictures(folder, names, side=28):
    random = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (side, side), np.uint8)).save(folder / name)


@pytest.fixture
def strange(tmp_path, monkeypatch):
    """A folder of noise without labels."""
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    write_pictures(tmp_path / "noise", [f"{number}.png" for number in range(20)])
    return str(tmp_path / "noise")


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A list of 24 images of which half have 'ant', and every third 'bee'; and networks of these two."""
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    write_pictures(tmp_path, [f"{number}.png" for number in range(24)])
    with (tmp_path / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "labels"))
        for number in range(24):
            labels = ["ant"] * (number % 2) + ["bee"] * (number % 3 == 0)
            rows.writerow((f"{number}.png", ";".join(labels)))
    for name, classes in (("two", 2), ("one", 1), ("none", None)):
        filling.save(randomise(build(cifar(8, classes=classes))), tmp_path / f"{name}.safetensors", {})
    return tmp_path


def metrics(app):
    return {metric.label: metric.value for metric in app.metric}


def selected(app):
    return next(header.value for header in app.subheader if "selected" in header.value)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_stands_beside_the_scores(view):
    app = open_page("evaluate", limit="100 images", **{"evaluation view": view})
    assert not errors(app)
    assert float(metrics(app)["Accuracy"].rstrip("%")) > 80
    assert app.get("plotly_chart") or app.dataframe or app.get("image")


def test_a_row_of_a_class_selects_its_images_and_a_cell_those_taken_for_another():
    app = open_page("evaluate", limit="300 images", **{"evaluation view": "confusion"})
    pairs = app.dataframe[-1].value
    assert selected(app) == "Nothing selected yet"
    app.session_state["confused pairs"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    digest = open_images("sample").sample(300).digest
    assert pairs["images"].iloc[0] >= 1
    app = open_page("evaluate", limit="300 images", selection=selection.keep(Selection(digest, np.arange(5), 300)))
    assert selected(app) == "5 of 300 images selected"
    assert len(app.get("image")) + sum(len(image.proto.imgs) for image in app.get("image")) >= 5
    next(button for button in app.button if button.label == "The rest").click().run()
    assert selected(app) == "295 of 300 images selected"
    next(button for button in app.button if button.label == "Clear").click().run()
    assert selected(app) == "Nothing selected yet"


def test_the_hardest_images_are_selected_for_all_pages():
    app = open_page("evaluate", limit="300 images", **{"evaluation view": "hardest images"})
    wrong = next(button for button in app.button if button.label.endswith("that are wrong"))
    count = int(wrong.label.split()[2])
    wrong.click().run()
    settle(app)
    kept = selection.kept(app.session_state["selection"])
    assert len(kept) == count
    assert kept.images == open_images("sample").sample(300).digest


def test_scores_are_of_the_selection_where_pages_are_about_it():
    digest = open_images("sample").sample(100).digest
    key = selection.keep(Selection(digest, np.arange(0, 100, 5), 100))
    app = open_page("evaluate", limit="100 images", selection=key, of="20 selected")
    assert not errors(app)
    assert any("**20** images" in text.value for text in app.markdown)
    app = open_page(
        "evaluate", limit="100 images", selection=key, of="20 selected", **{"evaluation view": "hardest images"}
    )
    next(button for button in app.button if button.label == "Select the first 20").click().run()
    assert app.session_state["selection"] == key  # the same images of the whole set


def halves(items):
    return items[: len(items) // 2], items[len(items) // 2 :]


def test_other_images_are_told_apart_stage_by_stage(strange):
    view = {"evaluation view": "other images", "against path": strange}
    app = open_page("evaluate", limit="100 images", **view)
    assert not errors(app)
    table = app.dataframe[-1].value
    assert len(table) == 2 + 2 * 5
    assert table[table["score"] == "Mahalanobis distance"]["AUROC"].max() > 0.9
    assert len(app.get("plotly_chart")) == 2
    ends = [[float(shown(image.proto.imgs[0].caption)) for image in part] for part in halves(app.get("image"))]
    assert len(ends[0]) == len(ends[1]) == 10
    assert ends[0] == sorted(ends[0])
    assert ends[1] == sorted(ends[1], reverse=True)
    assert ends[0][-1] <= ends[1][-1]


def test_a_second_set_outside_the_roots_or_the_same_is_refused(strange):
    app = open_page("evaluate", limit="100 images", **{"evaluation view": "other images", "against path": "/etc"})
    assert "outside the folders" in errors(app)
    app = open_page("evaluate", limit="100 images", **{"evaluation view": "other images", "against": "sample"})
    assert "is the first one itself" in errors(app)
    app = open_page("evaluate", limit="100 images", **{"evaluation view": "other images"})
    assert not errors(app)
    assert "Choose a second set" in app.info[0].value


def test_images_without_labels_and_networks_without_a_head_still_have_features(strange, listed):
    own = {"images": "a folder or zip of mine"}
    app = open_page("evaluate", **own, folder=strange, **{"against": "sample", "limit": "100 images"})
    assert "has no labels" in shown(app.info[0].value)
    app = open_page("evaluate", **own, folder=strange, **{"evaluation view": "other images", "limit": "100 images"})
    assert not errors(app)
    assert app.get("plotly_chart")
    weights = {"model": "a file of mine", "weights": str(listed / "none.safetensors")}
    app = open_page("evaluate", **own, folder=str(listed / "list.csv"), **weights)
    assert "has no classifier" in shown(app.info[0].value)
    assert app.get("plotly_chart")  # retrieval


@pytest.mark.parametrize(("name", "outputs"), [("two", "multilabel"), ("two", None), ("one", None)])
@pytest.mark.parametrize("view", VIEWS)
def test_images_of_many_labels_and_networks_of_one_logit_have_their_own_numbers(listed, name, outputs, view):
    (listed / "names.txt").write_text("ant\nbee\n")
    chosen = {"model": "a file of mine", "weights": str(listed / f"{name}.safetensors")}
    chosen |= {"outputs": outputs} if outputs else {}
    chosen |= {"classes": str(listed / "names.txt")}
    app = open_page(
        "evaluate", images="a folder or zip of mine", folder=str(listed / "list.csv"), **chosen,
        **{"evaluation view": view},
    )  # fmt: skip
    assert not errors(app)
    assert "Mean average precision" in metrics(app)


def test_labels_that_fit_no_class_are_told_and_can_be_matched_another_way(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    names = ("Bag", "Coat", *(f"kind {number}" for number in range(8)))
    write_pictures(tmp_path, [f"{name}/{number}.png" for name in names for number in range(3)])
    own = {"images": "a folder or zip of mine", "folder": str(tmp_path)}
    app = open_page("evaluate", **own)
    assert "not among the network" in shown(app.warning[0].value)
    assert app.get("plotly_chart")  # retrieval
    app.selectbox(key="matched").set_value("by order").run()
    settle(app)
    assert not errors(app)
    assert "Accuracy" in metrics(app)
    app = open_page("evaluate", **own, matched="by order")
    assert "Accuracy" in metrics(app)


def test_worse_pictures_are_shown_when_asked_for_beside_another_network():
    words = {"evaluation view": "worse pictures", "beside": "plain20-fashion", "corrupted by": "Gaussian noise"}
    app = open_page("evaluate", limit="100 images", **words)
    assert not app.get("plotly_chart")
    next(button for button in app.button if button.label == "Corrupt 100 images").click().run()
    app = settle(app)
    assert not errors(app)
    assert len(app.get("plotly_chart")) == 1
    table = app.dataframe[-1].value
    assert list(table["network"]) == ["resnet20-fashion", "plain20-fashion"]
    assert table["over resnet20-fashion's"][0] == 1


def test_an_attack_is_shown_when_asked_for():
    app = open_page("evaluate", limit="100 images", **{"evaluation view": "worse pictures", "worse by": "l2 attack"})
    next(button for button in app.button if button.label == "Attack 100 images").click().run()
    app = settle(app)
    assert not errors(app)
    assert len(app.get("plotly_chart")) == 1
