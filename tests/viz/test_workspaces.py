"""Workspaces in the app: a view is kept, opened again, told of what is missing, handed over and taken in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from features import selection as selections
from features.datasets import open_images
from features.files import ROOTS
from features.notes import Book
from features.progress import finish
from features.selection import Selection
from features.workspace import Chosen, Images, Network, Shelf, View, Workspace, packed
from tests.viz.test_pages import PATIENCE, _no_warm_up, errors, open_page, settle  # noqa: F401  # a fixture

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The workspaces of one test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv(ROOTS, str(tmp_path))
    return Shelf()


@pytest.fixture
def workspace() -> Workspace:
    images = open_images("sample")
    view = View("residual", {"residual view": ["variance"]}, "Variance [x](y)", "What *is* seen.")
    return Workspace(
        "Mine", Network("resnet20-fashion"), Images("sample", images.name, images.digest, 1000),
        [Chosen("some", [1, 2])], [view, View("evaluate", {}, "Taken for")],
    )  # fmt: skip


def texts(app: AppTest) -> str:
    return " ".join(each.value for each in (*app.markdown, *app.caption, *app.warning)).replace("\\", "")


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return settle(app.run())


# What the window “Keep this view” does when its form is sent: an AppTest runs no windows.
KEEPING = """
from viz import sidebar, widgets
from viz.sidebar import keeping

sidebar.show("evaluate", "Evaluation")
with widgets.show_errors():
    keeping._kept("Mine", "evaluate", "Taken for", "What is seen")
"""


def keep(**query: str) -> AppTest:
    app = AppTest.from_string(KEEPING, default_timeout=PATIENCE)
    for name, value in query.items():
        app.query_params[name] = value
    return settle(app.run())


def test_a_view_is_kept_with_all_that_the_address_says(shelf):
    keep(limit="300 images", corrections="true")
    (kept,) = shelf.all()
    assert (kept.name, kept.images.source, kept.images.limit, kept.images.n_images) == ("Mine", "sample", 300, 300)
    assert kept.network.name == "resnet20-fashion"
    assert len(kept.network.digest) == 64
    (view,) = kept.views
    assert (view.title, view.caption, view.state["limit"]) == ("Taken for", "What is seen", ["300 images"])
    assert kept.images.open().digest == kept.images.digest


def test_a_selection_is_kept_with_the_view_that_is_about_it(shelf):
    images = open_images("sample")
    chosen = Selection(images.digest, np.array([3, 8]), 1000)
    keep(selection=selections.keep(chosen), of="2 selected")
    (kept,) = shelf.all()
    assert [(each.name, each.rows) for each in kept.selections] == [("selected at Taken for", [3, 8])]
    assert kept.views[0].selection == "selected at Taken for"
    about = finish(kept.images_of(kept.views[0], kept.images.open(), Book()))
    assert about.ids == tuple(images.ids[row] for row in (3, 8))


def test_a_view_of_another_network_says_so_and_one_of_other_images_is_refused(shelf, workspace):
    shelf.save(workspace)
    keep(model="plain20-fashion")
    networks = {view.title: view.network and view.network.name for view in shelf.need("Mine").views}
    assert networks == {"Variance [x](y)": None, "Taken for": "plain20-fashion"}
    app = keep(limit="300 images")
    assert "is about other images" in errors(app).replace("\\", "")


def test_a_workspace_is_listed_with_links_to_its_views(shelf, workspace):
    shelf.save(workspace)
    app = open_page("workspace")
    assert "2 views" in texts(app)
    assert "(./residual?residual+view=variance)" in texts(app)
    assert any(r"Variance \[x\]\(y\)" in each.value for each in app.markdown)


def test_without_workspaces_the_page_says_how_to_make_one():
    assert "Keep this view" in texts(open_page("workspace"))


def test_what_is_missing_is_told_and_its_new_place_is_taken(shelf, workspace, tmp_path):
    moved = tmp_path / "net.pth"
    moved.write_bytes(b"weights")
    network = Network(str(tmp_path / "gone.pth"))
    shelf.save(replace(workspace, network=network))
    app = open_page("workspace")
    assert "There are no weights at" in texts(app)
    saved = shelf.need("Mine")
    app.text_input(key=f"weights {saved.uid}").set_value(str(moved))
    settle(app.run())
    press(app, "Use these")
    assert shelf.need("Mine").network.name == str(moved)
    assert "There are no weights at" not in texts(app)


def test_images_that_have_changed_are_taken_as_they_are(shelf, workspace):
    shelf.save(replace(workspace, images=replace(workspace.images, digest="of before"), selections=[]))
    app = open_page("workspace")
    assert "have changed since this was saved" in texts(app)
    press(app, "Take them as they are now")
    assert shelf.need("Mine").images.digest == workspace.images.digest


def test_a_deleted_workspace_is_had_back(shelf, workspace):
    shelf.save(workspace)
    app = press(open_page("workspace"), "Delete")
    assert shelf.all() == []
    press(app, "Have it back")
    assert [each.name for each in shelf.all()] == ["Mine"]


def test_the_report_is_made_when_somebody_asks_for_it(shelf, workspace):
    shelf.save(replace(workspace, views=[View("anatomy", {}, "Stages")]))
    app = open_page("workspace")
    assert not any(each.label == "Download the report" for each in app.get("download_button"))
    press(app, "Make the report")
    assert [each.label for each in app.get("download_button")] == ["Notebook", "Zip", "Download the report"]


def test_a_view_is_left_out(shelf, workspace):
    shelf.save(workspace)
    app = open_page("workspace")
    next(button for button in app.button if button.key == "drop Taken for").click()
    settle(app.run())
    assert [view.title for view in shelf.need("Mine").views] == ["Variance [x](y)"]


def test_an_exported_workspace_is_taken_in_and_a_hostile_file_refused(shelf, workspace):
    app = open_page("workspace")
    for data, wanted in ((b"PK no zip", "no zip of a workspace"), (finish(packed(workspace)), "")):
        app.file_uploader(key="workspace to take in").set_value(("mine.zip", data, "application/zip"))
        settle(app.run())
        assert wanted in errors(app).replace("\\", "")
    press(app, "Take it in")
    assert [each.name for each in shelf.all()] == ["Mine"]
    assert shelf.need("Mine").views == workspace.views
