"""YOLO's text files beside images, as sets of many labels."""

import zipfile
from pathlib import Path

import pytest

from features.datasets import open_images, stamp
from tests.datasets.annotated.test_beside import told, write

NAMED = {
    "list": "nc: 3\nnames: ['person', 'traffic light', \"dog\"]\n",
    "numbers": "names:\n  0: person\n  1: traffic light  # red or green\n  2: dog\n",
    "lines": "train: images/train\nnames:\n- person\n- traffic light\n- dog\n",
}
THINGS = {"0": "0 0.5 0.5 0.2 0.3\n2 0.1 0.1 0.1 0.1\n0 0.6 0.6 0.1 0.1\n", "1": "", "2": "1 0.2 0.2 0.8 0.2 0.8 0.9\n"}


def labelled(root: Path, images: str, labels: str, split: str = "val") -> Path:
    """Images and their texts at patterns of a split and a number; image 3 has no file."""
    write(root, [images.format(split, number) for number in range(4)])
    for number, text in THINGS.items():
        file = root / labels.format(split, number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize("form", NAMED)
@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images/{}/{}.jpg", "labels/{}/{}.txt"),  # Ultralytics
        ("{}/images/{}.jpg", "{}/labels/{}.txt"),  # Roboflow
        ("obj_{}_data/{}.jpg", "obj_{}_data/{}.txt"),  # Darknet
    ],
)
def test_labels_are_the_classes_of_the_things_in_each_image(tmp_path, images, labels, form):
    labelled(tmp_path, images, labels)
    (tmp_path / "data.yaml").write_text(NAMED[form])
    opened = open_images(str(tmp_path))
    assert [*told(opened).values()] == ["person;dog", "", "traffic light", ""]
    assert opened.class_names == ("person", "traffic light", "dog")
    assert not opened.aside
    assert any("YOLO" in note and "data.yaml" in note for note in opened.notes)


def test_splits_are_those_of_the_folders_and_one_without_texts_has_no_labels(tmp_path):
    labelled(tmp_path, "images/{}/{}.jpg", "labels/{}/{}.txt", "train")
    labelled(tmp_path, "images/{}/{}.jpg", "labels/{}/{}.txt", "val")
    write(tmp_path, ["images/test/0.jpg"])
    (tmp_path / "classes.txt").write_text("person\ntraffic light\ndog\n")
    opened = open_images(str(tmp_path))
    assert (opened.split, opened.splits) == ("val", {"test": 1, "train": 4, "val": 4})
    assert [*told(opened).values()] == ["person;dog", "", "traffic light", ""]
    assert open_images(f"{tmp_path}:test").label_sets is None


def test_other_names_of_classes_are_a_change(tmp_path):
    labelled(tmp_path, "{1}.jpg", "{1}.txt")
    (tmp_path / "data.yaml").write_text("names: [a, b, c]")
    before = stamp(tmp_path)
    (tmp_path / "data.yaml").write_text("names: [x, y, zz]")
    assert stamp(tmp_path) != before


def test_classes_that_no_file_names_are_numbers(tmp_path):
    opened = open_images(str(labelled(tmp_path, "{1}.jpg", "{1}.txt")))
    assert [*told(opened).values()] == ["0;2", "", "1", ""]


def test_labels_in_a_zip_are_read_from_the_zip(tmp_path):
    folder = labelled(tmp_path / "set", "images/{1}.jpg", "labels/{1}.txt")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(tmp_path))
    assert [*told(open_images(str(tmp_path / "set.zip"))).values()] == ["0;2", "", "1", ""]


@pytest.mark.parametrize(
    "text", ["a dog on a sofa\n", "0.3 0.5 0.5 0.2 0.3\n", "0 120 80 40 40\n", "7\n", "0 0.5 0.5\n"]
)
def test_texts_of_something_else_say_nothing(tmp_path, text):
    write(tmp_path, [f"{number}.jpg" for number in range(3)])
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(text)
    assert not open_images(str(tmp_path)).is_labelled


def test_one_text_that_is_written_otherwise_is_told_and_none_is_used(tmp_path):
    labelled(tmp_path, "{1}.jpg", "{1}.txt")
    (tmp_path / "1.txt").write_text("0 a b c d\n")
    opened = open_images(str(tmp_path))
    assert not opened.is_labelled
    assert any("1.txt is not used: it has the line '0 a b c d'" in note for note in opened.notes)


def test_folders_in_those_of_images_and_labels_are_no_classes(tmp_path):
    for camera in ("front", "rear"):
        labelled(tmp_path, "images/{}/{}.jpg", "labels/{}/{}.txt", camera)
    assert open_images(str(tmp_path)).class_names == ("0", "1", "2")


def test_folders_of_classes_count_for_more_than_texts_beside(tmp_path):
    write(tmp_path, [f"{name}/{number}.jpg" for name in ("cat", "dog") for number in range(2)])
    for file in sorted(tmp_path.rglob("*.jpg")):
        file.with_suffix(".txt").write_text("0 0.5 0.5 1 1\n")
    assert set(told(open_images(str(tmp_path))).values()) == {"cat", "dog"}
