"""Labels in the names of files are offered, and taken where they are asked for."""

import pytest

from features.datasets import Columns, TableColumns, open_images
from features.datasets.annotated.file_names import label_in
from features.errors import DatasetError
from tests.datasets.annotated.test_beside import told, write

ASKED = Columns(label="file name")
DOGS_AND_CATS = [f"train/{name}.{number}.jpg" for name in ("cat", "dog") for number in range(2)]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("train/cat.0.jpg", "cat"),
        ("american_bulldog_123.jpg", "american_bulldog"),
        ("dog-07.png", "dog"),
        ("cat (3).jpg", "cat"),
        ("Bär12.jpg", "Bär"),
        ("0001.jpg", None),
        ("2024-01-02.jpg", None),
        ("cat.jpg", None),
    ],
)
def test_a_label_is_what_stands_before_the_number_of_a_name(name, label):
    assert label_in(name) == label


def test_labels_in_names_are_offered_and_taken_only_where_they_are_asked_for(tmp_path):
    source = str(write(tmp_path, [*DOGS_AND_CATS, "test1/1.jpg", "test1/2.jpg"]))
    images = open_images(source)
    assert not images.is_labelled
    assert any("begin with cat, dog" in note and "--label-column 'file name'" in note for note in images.notes)
    assert images.table == TableColumns(("file name",), None)  # so that the app can offer it
    taken = open_images(source, columns=ASKED)
    assert (taken.split, taken.splits) == ("train", {"test1": 2, "train": 4})
    assert [*told(taken).values()] == ["cat", "cat", "dog", "dog"]
    assert taken.digest != open_images(f"{source}:train").digest


@pytest.mark.parametrize(
    "names",
    [
        ["IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg"],  # one name is no class
        ["1.jpg", "2.jpg"],
        ["beach1.jpg", "town2.jpg", "harbour3.jpg"],  # each is another
        ["a/cat.0.jpg", "a/cat.1.jpg", "b/dog.0.jpg", "b/dog.1.jpg"],  # folders tell it
    ],
)
def test_names_that_tell_no_classes_are_not_offered(tmp_path, names):
    images = open_images(str(write(tmp_path, names)))
    assert images.table is None
    assert not any("file name" in note for note in images.notes)


def test_labels_that_no_file_name_has_are_refused_with_what_was_wanted(tmp_path):
    write(tmp_path, ["1.jpg", "2.jpg"])
    with pytest.raises(DatasetError, match=r"tell no labels \(1\.jpg\)\. Wanted a name and a number"):
        open_images(str(tmp_path), columns=ASKED)
