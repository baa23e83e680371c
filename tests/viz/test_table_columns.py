"""What the sidebar lets a visitor correct of a table's columns, and what it says of the labels."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.viz.test_pages import _no_warm_up, errors, open_page, settle, shown  # noqa: F401  # a fixture for all

FOLDER = "a folder or zip of mine"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six images with a list of two columns of labels, one with two columns of paths, and Parquet of images."""
    monkeypatch.setenv("RESNET_EXPLORER_ROOTS", str(tmp_path))
    generator = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(generator.integers(0, 255, (28, 28), np.uint8)).save(tmp_path / f"{number}.png")
    rows = "".join(f"{n}.png,{'ab'[n % 2]},{'xyz'[n % 3]}\n" for n in range(6))
    (tmp_path / "list.csv").write_text(f"path,label,kind\n{rows}")
    rows = "".join(f"{n}.png,{5 - n}.png,{'xyz'[n % 3]}\n" for n in range(6))
    (tmp_path / "pairs.csv").write_text(f"left,right,kind\n{rows}")
    return tmp_path


def opened(root: Path, name: str, **query: str) -> AppTest:
    return open_page("saliency", images=FOLDER, folder=str(root / name), **query)


def said(app: AppTest) -> str:
    return shown(" ".join(caption.value for caption in app.sidebar.caption))


def test_the_columns_of_a_list_can_be_chosen_and_a_link_says_them(root):
    app = opened(root, "list.csv")
    assert "6 images, 2 classes" in said(app)
    assert app.selectbox(key="path_column").value == "path"
    assert app.multiselect(key="label_columns").value == ["label"]
    assert app.multiselect(key="label_columns").options == ["path", "label", "kind"]
    app.multiselect(key="label_columns").set_value(["kind"]).run()
    assert "Classes: x, y, z." in said(settle(app))
    linked = opened(root, "list.csv", label_columns="kind")
    assert "6 images, 3 classes" in said(linked)
    assert linked.multiselect(key="label_columns").value == ["kind"]
    assert not errors(linked)


def test_a_list_that_is_not_understood_can_be_corrected(root):
    app = opened(root, "pairs.csv")
    assert "Name it with “Paths of the images”" in shown(errors(app))
    assert app.selectbox(key="path_column").value is None
    app.selectbox(key="path_column").select("right").run()
    assert not errors(settle(app))
    assert "6 images" in said(app)
    app.multiselect(key="label_columns").set_value(["kind"]).run()
    assert "Classes: x, y, z." in said(settle(app))


def test_what_is_wrong_with_a_choice_is_said_beside_it_on_a_page_without_images(root):
    app = open_page("anatomy", images=FOLDER, folder=str(root / "list.csv"))
    app.multiselect(key="label_columns").set_value(["label", "kind"]).run()
    assert "Name one column of labels, or columns of 0 and 1" in said(settle(app))
    app.multiselect(key="label_columns").set_value(["kind"]).run()
    assert "Classes: x, y, z." in said(settle(app))


def test_what_was_chosen_of_one_table_is_not_taken_from_the_next(root):
    app = opened(root, "list.csv", label_columns="kind")
    rows = "".join(f"{n}.png,one,{'xyz'[n % 3]}\n" for n in range(6))
    (root / "other.csv").write_text(f"path,label,kind\n{rows}")
    app.text_input(key="folder").set_value(str(root / "other.csv")).run()
    assert "Classes: one." in said(settle(app))
    assert app.multiselect(key="label_columns").value == ["label"]
    assert "label_columns" not in app.query_params


def test_folders_without_a_table_have_no_columns_to_choose(root):
    for name in ("list.csv", "pairs.csv"):
        (root / name).unlink()
    app = opened(root, "")
    assert not [box for box in app.multiselect if box.key == "label_columns"]
    assert "6 images, without labels" in said(app)


def test_a_table_beside_images_and_one_of_images_have_columns_too(root):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (root / "pairs.csv").unlink()
    app = opened(root, "", label_columns="kind")
    assert "Classes: x, y, z." in said(app)
    png = io.BytesIO()
    Image.new("RGB", (28, 28)).save(png, "PNG")
    columns = {"image": [png.getvalue()] * 3, "label": [*"aba"], "kind": [*"xyz"]}
    pq.write_table(pa.table(columns), root / "set.parquet")
    app = opened(root, "set.parquet")
    assert app.multiselect(key="label_columns").options == ["label", "kind"]
    assert not [box for box in app.selectbox if box.key == "path_column"]
    app.multiselect(key="label_columns").set_value(["kind"]).run()
    assert "Classes: x, y, z." in said(settle(app))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["Bag", "Coat"], "Labels matched by name."),
        (["3", "7"], "Labels matched by number."),
        ([*"abcdefghij"], "Labels matched in order (uncertain)."),
        (["n01440764", "n01514668"], "Labels matched with none of the network's classes."),
    ],
)
def test_the_sidebar_says_how_the_labels_are_matched(root, names, words):
    Image.new("L", (28, 28)).save(root / "0.png")
    (root / "list.csv").write_text("path,label\n" + "".join(f"0.png,{name}\n" for name in names))
    assert words in said(opened(root, "list.csv"))


def test_two_classes_are_not_compared_where_images_have_any_number_of_labels(root):
    rows = "".join(f"{n}.png,{'Bag;Coat' if n % 2 else 'Bag'}\n" for n in range(6))
    (root / "many.csv").write_text(f"path,labels\n{rows}")
    app = open_page("residual", images=FOLDER, folder=str(root / "many.csv"), **{"residual view": "classes"})
    assert "These images have any number of labels" in shown(errors(app))
    assert "2 labels, 1.5 an image" in said(app)


def test_labels_in_the_names_of_files_can_be_taken(root):
    (root / "flat").mkdir()
    for number in range(6):
        (root / f"{number}.png").rename(root / "flat" / f"{('cat', 'dog')[number % 2]}.{number}.png")
    app = opened(root, "flat")
    assert "6 images, without labels" in said(app)
    assert "file names begin with cat, dog" in said(app)
    app.multiselect(key="label_columns").set_value(["file name"]).run()
    assert "Classes: cat, dog." in said(settle(app))
