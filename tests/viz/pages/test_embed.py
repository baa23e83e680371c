"""The Embedding page: its colours, its selection, and what stands beside the map."""

import csv
import io
import re
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from PIL import Image

from features import embed, selection, store
from features.datasets import open_images
from features.selection import Selection
from tests.viz.test_pages import errors, open_page, settle
from viz.cached import pictures, warm_up
from viz.components.point_map import Gesture
from viz.pages.embed import page, selected
from viz.pages.embed.shown import on_sheet


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    monkeypatch.setattr(warm_up, "started", lambda: SimpleNamespace(device="the CPU", waiting=nullcontext))


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A list of 20 images of which half have 'ant', and every fifth 'bee', with a column of two sites."""
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    random = np.random.default_rng(0)
    with (tmp_path / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "labels", "site"))
        for number in range(20):
            Image.fromarray(random.integers(0, 256, (28, 28), np.uint8)).save(tmp_path / f"{number}.png")
            labels = ["ant"] * (number % 2) + ["bee"] * (number % 5 == 0)
            rows.writerow((f"{number}.png", ";".join(labels), "north" if number < 4 else "south"))
    return str(tmp_path / "list.csv")


@pytest.fixture
def drawn(monkeypatch):
    """What the page's map shows: the last call's panels, colours, selection and what hears of gestures."""
    calls = []

    def point_map(panels, colours, selected, key, on_gesture, details=None):
        calls.append(
            SimpleNamespace(panels=panels, colours=colours, selected=selected, gesture=on_gesture, details=details)
        )

    monkeypatch.setattr(page, "point_map", point_map)
    return calls


def open_map(drawn, **query):
    app = open_page("embed", **query)
    assert not errors(app)
    return app, drawn[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("colour", "counts", "legend"),
    [("label", [10, 10], ["ant", "not ant"]), ("column site", [4, 16], ["north", "south"])],
)
def test_a_column_of_a_list_and_one_of_its_labels_can_be_coloured_by(drawn, listed, colour, counts, legend):
    _, shown = open_map(drawn, images="a folder or zip of mine", folder=listed, map="PCA", colour=colour)
    assert np.bincount(shown.colours.values).tolist() == counts
    assert list(shown.colours.names) == legend


@pytest.mark.slow
def test_a_class_has_one_name_and_one_colour_however_the_map_is_coloured(drawn):
    legends = []
    for colour in ("label", "prediction"):
        _, shown = open_map(drawn, limit="100 images", map="PCA", colour=colour)
        legends.append(list(shown.colours.names))
    assert legends[0] == legends[1]
    assert "T-shirt/top" in legends[0]


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["trust", "drift", "turnover", "confidence", "margin", "cluster", "correctness"])
def test_every_other_colour_says_something_of_each_image(drawn, colour):
    _, shown = open_map(drawn, limit="100 images", map="PCA", colour=colour)
    assert len(shown.colours) == 100
    of_stages = [panel.values for panel in shown.panels]
    if colour in ("trust", "drift", "turnover"):
        assert all(len(values) == 100 for values in of_stages)
        assert np.isnan(of_stages[0]).all() == (colour != "trust")  # nothing comes before the first stage
    else:
        assert of_stages == [None] * 3


@pytest.mark.slow
def test_a_selection_is_one_on_all_pages_and_in_the_link(drawn):
    app, shown = open_map(drawn, limit="100 images", map="PCA")
    assert shown.selected is None
    key = selection.keep(Selection.of(digest_of_sample(), np.arange(100) < 3))
    app, shown = open_map(drawn, limit="100 images", map="PCA", selection=key)
    assert np.flatnonzero(shown.selected).tolist() == [0, 1, 2]
    assert "3 of 100 images selected" in [header.value for header in app.subheader]
    assert [panel.name for panel in shown.panels] == ["layer1", "layer2", "layer3"]
    next(button for button in app.button if button.label == "The rest").click().run()
    assert "97 of 100 images selected" in [header.value for header in app.subheader]
    next(button for button in app.button if button.label == "Clear").click().run()
    assert "Nothing selected yet" in [header.value for header in app.subheader]
    assert "selection" not in app.query_params


def digest_of_sample():
    return open_images("sample").sample(100).digest


@pytest.mark.slow
def test_other_pages_are_about_the_selection_alone_when_that_is_chosen():
    key = selection.keep(Selection.of(digest_of_sample(), np.arange(100) % 20 == 0))
    app = open_page("saliency", limit="100 images", selection=key)
    assert app.number_input(key="image").max == 99
    app.get("button_group")[0]
    app = open_page("saliency", limit="100 images", selection=key, of="5 selected")
    assert app.number_input(key="image").max == 4


@pytest.mark.slow
def test_a_selection_that_is_not_kept_or_of_another_set_is_told_or_left_alone(drawn):
    app = open_page("embed", limit="100 images", map="PCA", selection="0" * 24)
    app.run()  # as for maps that arrive
    assert "not kept on this machine" in app.sidebar.warning[0].value
    app.text_input(key="search").set_value("Bag").run()
    app.button(key="select hits").click().run()
    assert not app.sidebar.warning
    key = selection.keep(Selection.of("another set", np.ones(100, bool)))
    _, shown = open_map(drawn, limit="100 images", map="PCA", selection=key)
    assert shown.selected is None


@pytest.mark.slow
def test_what_is_searched_for_can_be_selected(drawn):
    app, _ = open_map(drawn, limit="100 images", map="PCA")
    app.text_input(key="search").set_value("bag/").run()
    next(button for button in app.button if button.label == "Select them").click().run()
    assert "10 of 100 images selected" in [header.value for header in app.subheader]


@pytest.mark.slow
def test_the_image_beside_the_map_is_ringed_on_it_and_stands_in_the_link(drawn):
    app, shown = open_map(drawn, limit="100 images", map="PCA")
    shown.gesture(Gesture("point", 1, panel="layer1", row=7))
    app.session_state["looked at"], app.session_state["beside"] = (digest_of_sample(), 7), "Image"
    settle(app.run())
    assert drawn[-1].details.ringed == 7
    linked = app.query_params["looked_at"]
    assert linked == open_images("sample").sample(100).ids[7]
    app, shown = open_map(drawn, limit="100 images", map="PCA", beside="Image", looked_at=linked)
    assert shown.details.ringed == 7
    assert linked.replace(".", "\\.") in [header.value for header in app.subheader]
    _, shown = open_map(drawn, limit="100 images", map="PCA", beside="Image", looked_at="no such image")
    assert shown.details.ringed is None


@pytest.mark.slow
def test_a_table_of_ones_own_gives_colours_and_filters(drawn):
    ids = open_images("sample").sample(100).ids
    rows = [f"{image_id},{number % 4},{number / 7}" for number, image_id in enumerate(ids)]
    app, _ = open_map(drawn, limit="100 images", map="PCA")
    file = ("mine.csv", "\n".join(["id,rater,score", *reversed(rows)]).encode(), "text/csv")
    app.file_uploader(key="own table").set_value(file).run()
    assert any("names 100 of 100 images" in caption.value for caption in app.caption)
    app.selectbox(key="colour").select("column rater").run()
    assert not errors(app)
    colours = drawn[-1].colours
    assert [colours.names[value] for value in colours.values[:6]] == ["0", "1", "2", "3", "0", "1"]
    app.selectbox(key="filter").select("column rater").run()
    app.multiselect(key="filter names column rater").set_value(["2"]).run()
    app.button(key="filter Select").click().run()
    assert np.flatnonzero(drawn[-1].selected).tolist() == [*range(2, 100, 4)]
    app.file_uploader(key="own table").set_value(("mine.csv", b"a,b\nx,1\ny,2\n", "text/csv")).run()
    assert "names any of the 100 images" in errors(app)
    assert app.selectbox(key="colour").value == "label"


@pytest.mark.slow
def test_names_of_selections_outlive_the_session(drawn):
    key = selection.keep(Selection.of(digest_of_sample(), np.arange(100) < 3))
    app, _ = open_map(drawn, limit="100 images", map="PCA", selection=key)
    app.text_input(key="selection name").set_value("first").run()
    app.button(key="keep selection").click().run()
    app, _ = open_map(drawn, limit="100 images", map="PCA")
    app.button(key="only first").click().run()
    assert drawn[-1].selected.sum() == 3
    app.button(key="forget first").click().run()
    assert "first" not in selection.named(digest_of_sample())  # others are of other tests


@pytest.mark.slow
def test_lists_that_need_what_these_images_lack_are_not_offered(drawn, listed):
    app, _ = open_map(drawn, images="a folder or zip of mine", folder=listed, map="PCA", beside="Lists")
    assert app.selectbox(key="list").options == ["Outliers", "Near-duplicates", "Neighbours change most"]
    app, _ = open_map(drawn, limit="100 images", map="PCA", beside="Lists")
    assert app.selectbox(key="list").options == [
        each.title for name, each in embed.RANKINGS.items() if name != "duplicates-across"
    ]


@pytest.mark.slow
def test_duplicates_of_two_splits_are_told_with_them(drawn, tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    random = np.random.default_rng(0)
    for number in range(12):
        pixels = random.integers(0, 256, (28, 28), np.uint8)
        for split in ("train", "test") if number == 5 else ("train", "test")[number % 2 :][:1]:
            folder = tmp_path / "data" / split / "ant"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    app, _ = open_map(
        drawn, images="a folder or zip of mine", folder=f"{tmp_path}/data:all", map="PCA", beside="Lists",
        list="Near-duplicates across splits", colour="column split",
    )  # fmt: skip
    assert sorted(drawn[-1].colours.names) == ["test", "train"]
    captions = [each.caption for image in app.get("image") for each in image.proto.imgs]
    (caption,) = (caption.replace("\\", "") for caption in captions if caption)
    assert re.fullmatch(r"1: .+ \(test\) = .+ \(train\)", caption)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in embed.RANKINGS if name != "duplicates-across"])
def test_every_list_comes_up_and_can_be_selected(drawn, name):
    app, _ = open_map(drawn, limit="100 images", map="PCA", beside="Lists", list=embed.RANKINGS[name].title)
    buttons = [button for button in app.button if button.label.startswith("Select the first")]
    assert buttons or "There is none." in [box.value for box in app.info]
    if buttons:
        buttons[0].click().run()
        assert not errors(app)
        assert drawn[-1].selected.any()


@pytest.mark.slow
def test_scores_stand_beside_the_maps(drawn):
    _, shown = open_map(drawn, limit="100 images", map="PCA", seed="7")
    assert all(panel.note.endswith("seeds pending") for panel in shown.panels)
    app, _ = open_map(drawn, limit="100 images", map="PCA", seed="7", beside="Scores")
    app.run()  # as for scores that arrive
    assert all(panel.note.endswith("kept, seeds 0.00") for panel in drawn[-1].panels)
    table = app.dataframe[0].value
    assert table.columns.tolist() == ["layer1", "layer2", "layer3"]
    assert table.loc["seed to seed"].tolist() == ["0.000"] * 3
    assert len(app.get("plotly_chart")) == 1


@pytest.mark.slow
def test_a_clicked_image_comes_up_with_its_predictions_maps_and_neighbours(drawn):
    app, _ = open_map(drawn, limit="100 images", map="PCA", beside="Image")
    assert "No image yet" in [header.value for header in app.subheader]
    app.session_state["looked at"] = (digest_of_sample(), 7)
    settle(app.run())
    assert not errors(app)
    assert any("Nearest in each stage" in text.value for text in app.markdown)
    assert any("Grad-CAM of every stage" in text.value for text in app.markdown)
    assert sum(len(image.proto.imgs) for image in app.get("image")) == 1 + 3 * 6
    settle(app.toggle(key="branches shown").set_value(True).run())
    assert not errors(app)
    assert any("|F|/|x| of every block for this image" in caption.value for caption in app.caption)


@pytest.mark.slow
def test_a_method_of_maps_and_one_of_saliency_are_two_choices(drawn):
    app, _ = open_map(drawn, limit="100 images", method="PCA")  # a link of before
    assert app.session_state["map"] == "pca"
    assert app.query_params == {"limit": "100 images", "map": "PCA"}
    assert "method" not in app.session_state


@pytest.mark.slow
def test_features_of_another_program_are_laid_out_with_their_images(drawn, tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    random = np.random.default_rng(0)
    vectors = random.normal(size=(20, 8)).astype(np.float32)
    for number in range(20):
        Image.fromarray(random.integers(0, 256, (28, 28), np.uint8)).save(tmp_path / f"{number}.png")
    table = {"path": [f"{number}.png" for number in range(20)], "label": ["ant", "bee"] * 10, "clip": list(vectors)}
    pd.DataFrame(table).to_parquet(tmp_path / "clip.parquet")
    app, shown = open_map(drawn, features=str(tmp_path / "clip.parquet"), map="PCA")
    assert any("in place of the sidebar" in caption.value for caption in app.caption)
    assert [panel.name for panel in shown.panels] == ["clip"]
    assert list(shown.colours.names) == ["ant", "bee"]
    app.text_input(key="search").set_value("ant").run()
    settle(app.button(key="select hits").click().run())
    assert "10 of 20 images selected" in [header.value for header in app.subheader]
    assert not any("choose so in the sidebar" in caption.value for caption in app.caption)  # which is of other images
    app, shown = open_map(drawn, features=str(tmp_path / "clip.parquet"), map="PCA", beside="Image")
    images = store.images_of(store.open_vectors(tmp_path / "clip.parquet"))
    app.session_state["looked at"] = (images.digest, 3)
    settle(app.run())
    assert not errors(app)
    assert sum(len(image.proto.imgs) for image in app.get("image")) == 1 + 6
    assert not app.warning
    for path in tmp_path.glob("1*.png"):
        path.unlink()
    st.cache_resource.clear()
    app, _ = open_map(drawn, features=str(tmp_path / "clip.parquet"), map="PCA")
    assert "6 of 12 pictures that were looked for cannot be shown" in app.warning[0].value


@pytest.mark.slow
def test_an_image_of_the_set_before_is_not_brought_up_in_place_of_another(drawn):
    app, _ = open_map(drawn, limit="100 images", map="PCA", beside="Image")
    app.session_state["looked at"] = (open_images("sample").digest, 7)
    settle(app.run())
    assert "No image yet" in [header.value for header in app.subheader]


@pytest.mark.slow
def test_a_path_of_features_that_is_wrong_can_be_corrected(drawn, tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    app, _ = open_map(drawn, limit="100 images", map="PCA")
    for path in (tmp_path / "nothing", tmp_path / "*.parquet"):
        settle(app.text_input(key="features").set_value(str(path)).run())
        assert "There" in errors(app)
    settle(app.text_input(key="features").set_value("").run())
    assert not errors(app)


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("ant", "ant"),
        ("T-shirt/top", "T-shirt-top"),
        ("..", "images"),
        ("..\\..\\x", "-..-x"),
        ("a\0b", "a-b"),
        (None, "images"),
    ],
)
def test_a_label_names_a_folder_that_leads_nowhere_else(label, folder):
    assert selected._folder_name(label) == folder


@pytest.mark.slow
def test_features_outside_the_roots_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    assert "outside the folders" in errors(open_page("embed", features="/etc"))
    assert "holds no features" in errors(open_page("embed", features=str(tmp_path)))


@pytest.mark.slow
def test_what_sets_a_selection_apart_is_told(drawn):
    key = selection.keep(Selection.of(digest_of_sample(), np.arange(100) < 30))
    app, _ = open_map(drawn, limit="100 images", map="PCA", selection=key, apart="true")
    assert any("Mean confidence" in text.value for text in app.markdown)
    assert any("Mean map of the last stage" in text.value for text in app.markdown)
    charts = len(app.get("plotly_chart"))
    app.toggle(key="apart blocks").set_value(True).run()
    settle(app)
    assert not errors(app)
    assert len(app.get("plotly_chart")) == charts + 1


@pytest.mark.slow
def test_images_are_selected_by_a_filter_and_narrowed_by_another(drawn):
    app, _ = open_map(drawn, limit="100 images", map="PCA")
    app.selectbox(key="filter").select("label").run()
    app.multiselect(key="filter names label").set_value(["Bag", "Coat"]).run()
    app.button(key="filter Select").click().run()
    assert drawn[-1].selected.sum() == 20
    app.selectbox(key="filter").select("correctness").run()
    app.multiselect(key="filter names correctness").set_value(["correct"]).run()
    app.button(key="filter Narrow").click().run()
    assert 0 < drawn[-1].selected.sum() < 20
    app.selectbox(key="filter").select("confidence").run()
    app.slider(key="filter range confidence").set_range(0.0, 1.0).run()
    app.button(key="filter Select").click().run()
    assert drawn[-1].selected.sum() == 100
    assert not errors(app)


@pytest.mark.slow
def test_an_image_of_the_visitor_lies_where_its_features_say(drawn):
    app, _ = open_map(drawn, limit="100 images", map="PCA", beside="Image")
    images = open_images("sample").sample(100)
    buffer = io.BytesIO()
    images.open(42).save(buffer, "PNG")
    app.file_uploader(key="image to place").set_value(("mine.png", buffer.getvalue(), "image/png")).run()
    assert not errors(app)
    points = drawn[-1].panels[-1].points
    x, y = points[42]
    assert {*drawn[-1].details.pins} == {"layer1", "layer2", "layer3"}
    np.testing.assert_allclose(drawn[-1].details.pins["layer3"], [(x, y)], atol=1e-4)
    next(button for button in app.button if button.label == "Select its neighbours").click().run()
    assert drawn[-1].selected[42]
    assert drawn[-1].selected.sum() == 15
    np.testing.assert_array_equal(drawn[-1].panels[-1].points, points)  # none has moved


def test_a_sheet_holds_pictures_spread_over_a_set_that_is_too_large_for_it():
    assert pictures.sheet_rows(10_000) is None
    rows = pictures.sheet_rows(1_000_000)
    assert len(rows) == 10_000
    assert (rows[0], rows[-1]) == (0, 999_999)
    assert set(np.diff(rows)) <= {99, 100, 101}


def test_points_without_a_picture_on_the_sheet_say_so(monkeypatch):
    monkeypatch.setattr(pictures, "SHEET_LIMIT", 4)
    shown = SimpleNamespace(images=range(7), points=np.arange(7))
    assert on_sheet(shown).tolist() == [0, -1, 1, -1, 2, -1, 3]
