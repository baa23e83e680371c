"""Tags, corrected labels and notes in the app: written, shown, selected by, taken back."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from features.datasets import open_images
from features.notes import LABEL, TAG, YES, Book, field_of, write
from features.progress import finish
from features.selection import Selection, keep
from tests.viz.test_pages import _no_warm_up, errors, open_page, settle  # noqa: F401  # a fixture
from viz.sidebar import noted

pytestmark = pytest.mark.slow
ODD = field_of(TAG, "odd")


@pytest.fixture(autouse=True)
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    """A file of notes of one test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return Book()


def sample():
    return open_images("sample")


def texts(app: AppTest) -> str:
    return " ".join(each.value for each in (*app.markdown, *app.caption))


def keyed(elements, start: str):
    return next(element for element in elements if (element.key or "").startswith(start))


def submit(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return settle(app.run())


def test_a_picture_is_tagged_and_relabelled_where_it_is_shown(book):
    app = open_page("saliency", image="3")
    keyed(app.multiselect, "tags the picture").set_value(["odd"])
    keyed(app.selectbox, "label the picture").set_value("Sandal")
    submit(app, "Save")
    ((known),) = book.notes().of.values()
    assert (known.id, known.tags, known.label, known.given) == (sample().ids[3], ("odd",), "Sandal", "Ankle boot")
    assert "odd" in texts(app)
    assert "relabelled Sandal" in texts(app)


def test_a_name_that_is_no_tag_is_refused_in_a_sentence(book):
    app = open_page("saliency", image="3")
    keyed(app.multiselect, "tags the picture").set_value(["a;b"])
    submit(app, "Save")
    assert "A tag is called" in errors(app)
    assert book.version() == 0


def test_noted_images_become_the_selection_of_all_pages(book):
    finish(write(book, sample(), [3, 7, 500], {ODD: YES}))
    app = open_page("anatomy")
    app.selectbox(key=noted.TAKEN).set_value("tag odd")
    settle(app.run())
    assert any("3 selected" in str(control.options) for control in app.get("button_group"))


def test_all_that_is_selected_is_noted_alike(book):
    finish(write(book, sample(), [3], {ODD: YES}))
    chosen = Selection(sample().digest, np.array([3, 8, 500]), 1000)
    app = open_page("anatomy", selection=keep(chosen))
    keyed(app.multiselect, "more selected").set_value(["dark"])
    keyed(app.multiselect, "less selected").set_value(["odd"])
    keyed(app.selectbox, "label selected").set_value("Bag")
    submit(app, "Note of 3 images")
    told = book.notes().of.values()
    assert sorted((each.id, each.tags, each.label) for each in told) == sorted(
        (sample().ids[row], ("dark",), "Bag") for row in (3, 8, 500)
    )
    assert len(book.acts()) == 2


def test_corrected_labels_count_where_they_are_asked_for_and_are_told(book):
    finish(write(book, sample(), [0], {LABEL: "Sandal"}))
    for query in ({}, {noted.CORRECTIONS: "true"}):
        app = open_page("evaluate", **query)
        assert app.toggle(key=noted.CORRECTIONS).value == bool(query)
        assert ("label corrected" in texts(app)) == bool(query)


def test_without_notes_nothing_stands_at_the_side_and_no_file_is_made(book):
    app = open_page("anatomy")
    assert not any(button.label == "Notes" for button in app.button)
    assert not book.path.exists()


def test_a_damaged_file_is_told_of_and_the_page_stands(book):
    book.path.parent.mkdir(parents=True)
    book.path.write_text("no database at all, " * 100)
    app = open_page("anatomy")
    assert "is no file of notes" in texts(app).replace("\\", "")
    assert app.metric
