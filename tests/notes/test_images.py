"""Notes of the images of a set: found again wherever they lie, selected, put on labels."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.datasets import ImageSet, open_images
from features.datasets.corrections import corrected
from features.notes import LABEL, NOTE, Book, ImageNotes, NotedImages, NotesError, noted_in, write
from features.notes.journal import TAG, YES, field_of
from features.progress import finish

BLURRED = field_of(TAG, "blurred")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        (tmp_path / "set" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / "ab"[number % 2] / f"{number}.png")
    return tmp_path / "set"


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "notes.sqlite")


def look(images: ImageSet, book: Book) -> NotedImages:
    return finish(noted_in(images, book.notes()))


def test_noted_images_are_found_in_another_set_under_other_names(folder, tmp_path, book):
    images = open_images(str(folder))
    finish(write(book, images, [1, 4], {BLURRED: YES}))
    (tmp_path / "other").mkdir()
    for number, row in enumerate((0, 4, 1, 5)):
        shutil.copy(images.uri(row), tmp_path / "other" / f"copy-{number}.png")
    assert sorted(look(images, book).of) == [1, 4]
    assert sorted(look(open_images(str(tmp_path / "other")), book).of) == [1, 2]


def test_an_image_that_is_another_now_has_no_notes(folder, book):
    images = open_images(str(folder))
    finish(write(book, images, [1], {BLURRED: YES}))
    Image.new("RGB", (9, 9)).save(images.uri(1))
    assert look(open_images(str(folder)), book).of == {}


def test_a_file_whose_name_is_no_text_has_notes_as_any(folder, book):
    source = next(folder.rglob("*.png"))
    strange = Path(os.fsdecode(os.fsencode(source.parent) + b"/\xff.png"))
    strange.write_bytes(source.read_bytes() + b"more")
    images = open_images(str(folder))
    row = next(row for row in range(len(images)) if images.ids[row].endswith("xff.png"))
    finish(write(book, images, [row], {NOTE: "strange"}))
    assert [*finish(noted_in(images, book.notes())).of] == [row]
    (noted,) = book.notes().of.values()
    assert noted.place.endswith("\\xff.png")


def test_images_are_selected_by_what_is_noted(folder, book):
    images = open_images(str(folder))
    finish(write(book, images, [0, 2, 3], {BLURRED: YES}))
    finish(write(book, images, [3, 4], {LABEL: "a"}))
    finish(write(book, images, [4], {NOTE: "odd"}))
    noted = look(images, book)
    assert noted.selection(tag="blurred").rows.tolist() == [0, 2, 3]
    assert noted.selection(relabelled=True).rows.tolist() == [3, 4]
    assert noted.selection(tag="blurred", relabelled=True).rows.tolist() == [3]
    assert noted.selection(with_note=True).rows.tolist() == [4]
    assert images.select(noted.selection(tag="blurred")).ids == tuple(images.ids[row] for row in (0, 2, 3))
    assert noted.tags() == {"blurred": 3}
    assert noted.columns()["tags"].tolist() == ["blurred", None, "blurred", "blurred", None, None]
    assert noted.columns()["corrected label"].tolist() == [None, None, None, "a", "a", None]


def test_columns_that_hold_nothing_are_absent():
    assert NotedImages("digest", 3, {}).columns() == {}
    noted = NotedImages("digest", 3, {1: ImageNotes("d", note="odd")})
    assert [*noted.columns()] == ["note"]


def test_where_one_image_cannot_be_read_nothing_is_noted(folder, book):
    images = open_images(str(folder))
    Path(images.uri(1)).unlink()
    with pytest.raises(NotesError, match="1 of 2 images cannot be read"):
        finish(write(book, images, [0, 1], {BLURRED: YES}))
    assert book.version() == 0


def test_corrected_labels_make_another_set(folder, book):
    images = open_images(str(folder))
    assert images.label_names(range(6)).tolist() == ["a", "a", "a", "b", "b", "b"]
    finish(write(book, images, [0], {LABEL: "b"}))
    finish(write(book, images, [5], {LABEL: "b"}))  # as its source says
    changed = corrected(images, look(images, book).corrections(images))
    assert changed.label_names(range(6)).tolist() == ["b", "a", "a", "b", "b", "b"]
    assert changed.digest != images.digest
    assert changed.pictures_digest == images.digest
    assert changed.name == "set (1 label corrected)"
    assert sorted(look(changed, book).of) == [0, 5]


def test_what_a_source_said_is_kept_with_the_note_and_not_what_was_corrected(folder, book):
    images = open_images(str(folder))
    finish(write(book, images, [0], {LABEL: "b"}))
    changed = corrected(images, look(images, book).corrections(images))
    finish(write(book, changed, [0], {BLURRED: YES}))
    (known,) = book.notes().of.values()
    assert (known.given, known.label, known.id) == ("a", "b", images.ids[0])
