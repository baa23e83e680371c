"""Notes as tables: what is written is read again as the same, and lists are what commands take."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from features.datasets import open_images
from features.datasets.corrections import corrected
from features.errors import DatasetError
from features.notes import FORMATS, LABEL, NOTE, Book, apply, as_list, incoming, merge, noted_in, write
from features.notes.journal import TAG, YES, field_of
from features.progress import finish


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        (tmp_path / "set" / ("cat", "dog")[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (number, 0, 0)).save(tmp_path / "set" / ("cat", "dog")[number % 2] / f"{number}.png")
    return tmp_path / "set"


@pytest.fixture
def book(folder: Path, tmp_path: Path) -> Book:
    book, images = Book(tmp_path / "notes.sqlite"), open_images(str(folder))
    finish(write(book, images, [0, 3], {field_of(TAG, "odd, really"): YES, field_of(TAG, "dark"): YES}))
    finish(write(book, images, [3], {LABEL: "cat", NOTE: 'two\nlines, "quoted"\u2028or\x85four'}))
    return book


def test_a_row_tells_the_image_its_labels_and_who(book):
    (odd,) = [row for row in csv.DictReader(io.StringIO(FORMATS["csv"].write(book.notes()))) if row["label"]]
    assert (odd["id"], odd["given"], odd["label"], odd["tags"]) == (
        "dog/3.png",
        "dog",
        "cat",
        "dark;odd, really",
    )
    assert odd["note"] == 'two\nlines, "quoted"\u2028or\x85four'
    rows = [json.loads(line) for line in FORMATS["jsonl"].write(book.notes()).split("\n")[:-1]]
    assert [row["tags"] for row in rows] == [["dark", "odd, really"]] * 2
    assert "label" not in rows[0]


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_exported_is_read_again_as_the_same(format, book, tmp_path):
    path = tmp_path / f"exported{FORMATS[format].ending}"
    path.write_text(FORMATS[format].write(book.notes()))
    fresh = Book(tmp_path / "fresh.sqlite")
    apply(merge(finish(incoming(path, fresh)), fresh), fresh, {})
    told = [
        {
            digest: (each.tags, each.note, each.label, each.size, each.given, each.place)
            for digest, each in one.of.items()
        }
        for one in (book.notes(), fresh.notes())
    ]
    assert told[0] == told[1]


def test_a_table_by_hand_names_files_by_their_paths(folder, tmp_path):
    (folder / "mine.csv").write_text("path,label,tags\ncat/0.png,dog,odd\n")
    fresh = Book(tmp_path / "fresh.sqlite")
    apply(merge(finish(incoming(folder / "mine.csv", fresh)), fresh), fresh, {})
    noted = finish(noted_in(open_images(str(folder)), fresh.notes()))
    assert [(row, each.label, each.tags) for row, each in noted.of.items()] == [(0, "dog", ("odd",))]


def test_a_list_has_every_image_with_its_corrected_label(folder, book, tmp_path):
    images = open_images(str(folder))
    changed = corrected(images, finish(noted_in(images, book.notes())).corrections(images))
    (tmp_path / "list.csv").write_text(as_list(changed))
    listed = open_images(str(tmp_path / "list.csv"))
    assert [listed.label_name(row) for row in range(4)] == [changed.label_name(row) for row in range(4)]
    assert [listed.open(row).tobytes() for row in range(4)] == [images.open(row).tobytes() for row in range(4)]


def test_a_list_names_images_in_archives(tmp_path):
    images = open_images("sample").sample(10)
    (tmp_path / "list.csv").write_text(as_list(images))
    listed = open_images(str(tmp_path / "list.csv"))
    assert [listed.label_name(row) for row in range(10)] == [images.label_name(row) for row in range(10)]


def test_a_label_that_a_list_would_part_is_refused(folder, book):
    images = open_images(str(folder))
    finish(write(book, images, [0], {LABEL: "cat;dog"}))
    with pytest.raises(DatasetError, match="read as several"):
        as_list(corrected(images, finish(noted_in(images, book.notes())).corrections(images)))


def test_images_without_labels_or_places_make_no_list(folder):

    images = open_images(str(folder))
    with pytest.raises(DatasetError, match="no labels to list"):
        as_list(replace(images, labels=None, class_names=()))
    with pytest.raises(DatasetError, match="lies in no files"):
        as_list(replace(images, locate=lambda row: f"torchvision:x/{row}"))
