"""The Compare page: networks side by side, two of them image by image."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from features.datasets import open_images
from features.selection import kept
from tests.viz.test_pages import errors, open_page, settle, shown
from viz.cached import warm_up

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    monkeypatch.setattr(warm_up, "started", lambda: SimpleNamespace(device="the CPU", waiting=nullcontext))


def test_two_networks_stand_side_by_side_without_a_click():
    app = open_page("compare", limit="100 images")
    assert not errors(app)
    table = app.dataframe[0].value
    assert [name.removesuffix(" ★") for name in table["network"]] == ["resnet20-fashion", "plain20-fashion"]
    assert len(app.get("plotly_chart")) == 1
    assert "plain20-fashion beside resnet20-fashion" in [shown(each.value) for each in app.subheader]
    assert [metric.label for metric in app.metric] == ["McNemar's p", "Error consistency", "Other classes"]


CHARTS = {"slices": 1, "quality": 2, "similarity": 2, "stitching": 1, "branches": 1, "maps": 2, "saliency": 2}


@pytest.mark.parametrize("view", CHARTS)
def test_every_view_draws_what_it_is_of(view):
    app = open_page("compare", **{"limit": "60 images", "compare view": view})
    settle(app)
    assert not errors(app)
    assert len(app.get("plotly_chart")) == 1 + CHARTS[view]


def test_where_they_look_stands_beside_the_images_that_only_one_gets_right():
    app = open_page("compare", limit="100 images", looking="true")
    settle(app)
    assert not errors(app)
    assert any("both on one scale" in shown(each.value) for each in app.caption)


def test_images_by_who_is_right_are_selected_for_all_pages():
    app = open_page("compare", limit="100 images")
    app.segmented_control(key="right").set_value("both").run()
    next(button for button in app.button if button.label.startswith("Select ")).click().run()
    chosen = kept(app.query_params["selection"])
    assert chosen.images == open_images("sample").sample(100).digest
    assert 50 < len(chosen) < 100
    assert not errors(app)


def test_a_network_with_a_lesion_takes_part_and_a_pair_is_chosen():
    app = open_page("compare", limit="100 images")
    names = ["resnet20-fashion", "resnet20-fashion?lesion=without:layer1.0", "plain20-fashion"]
    settle(app.multiselect(key="compared").set_value(names).run())
    assert not errors(app)
    assert len(app.dataframe[0].value) == 3
    titles = app.selectbox(key="pair").options
    assert len(titles) == 3
    settle(app.selectbox(key="pair").select(titles[2]).run())
    assert titles[2] in [shown(each.value) for each in app.subheader]


def test_one_network_or_unlabelled_images_are_told(tmp_path, monkeypatch):
    app = open_page("compare", limit="100 images")
    app.multiselect(key="compared").set_value(["resnet20-fashion"]).run()
    assert "2 to 10 networks" in errors(app)
    from PIL import Image

    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    for number in range(3):
        Image.fromarray(np.full((28, 28), 60 * number, np.uint8)).save(tmp_path / f"{number}.png")
    app = open_page("compare", images="a folder or zip of mine", folder=str(tmp_path))
    assert "no labels" in errors(app)


def test_a_file_outside_the_roots_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    app = open_page("compare", limit="100 images")
    app.multiselect(key="compared").set_value(["resnet20-fashion", "/etc/hostname"]).run()
    assert "outside the folders" in errors(app)


def test_the_page_is_taken_away_as_one_file():
    app = open_page("compare", limit="100 images")
    (button,) = (each for each in app.get("download_button") if each.proto.id.endswith("report comparison"))
    assert button.proto.label == "Download the report"
    assert not errors(app)
