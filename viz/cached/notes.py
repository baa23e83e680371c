"""What is noted of images: the file that this server's visitors share, and which images of a set are in it."""

import hashlib
from collections.abc import Sequence

import streamlit as st

from features import files, notes
from features.datasets import ImageSet
from features.datasets.corrections import Corrections
from features.datasets.corrections import corrected as put
from features.notes import Book, NotedImages, Notes
from features.progress import Task, finish
from viz.jobs import PREVIEW, Work

MOMENT = 64  # images whose files are read while the page waits


def book() -> Book:
    """The file of notes, which need not be there."""
    return Book(files.notes_file())


def current() -> Notes:
    """What is noted now. Raises NotesError if the file cannot be read."""
    held = book()
    return _notes(str(held.path), held.version())


@st.cache_resource(max_entries=2, show_spinner=False)
def _notes(path: str, version: int) -> Notes:
    return book().notes()


def noted_work(images: ImageSet) -> Work:
    """Which images of a set something is noted of. Raises NotesError if the file of notes cannot be read."""
    told = current()
    key = f"noted {images.pictures_digest} {book().path} {told.version}"
    return Work(key, lambda: notes.noted_in(images, told), PREVIEW)


def noted_of(images: ImageSet, row: int) -> notes.ImageNotes:
    """What is noted of one image, nothing where it is none. Raises FeatureError if it cannot be read."""
    (each,) = finish(notes.contents(images, [row])).of.values()
    return current().of.get(each.digest, notes.ImageNotes(each.digest))


def contents_work(images: ImageSet, rows: Sequence[int]) -> Work:
    """What tells some images of a set from all others."""
    told = hashlib.sha256(repr([*map(int, rows)]).encode()).hexdigest()[:24]
    chosen = [*map(int, rows)]

    def run() -> Task[notes.Contents]:
        return notes.contents(images, chosen)

    return Work(f"contents {images.pictures_digest} {told}", run, PREVIEW)


def corrected(images: ImageSet, noted: NotedImages) -> ImageSet:
    """The same images with the labels that were corrected; the same object while nothing else is noted."""
    told = noted.corrections(images)
    return _corrected(images.digest, told.key, images, told) if len(told) else images


@st.cache_resource(max_entries=16, show_spinner=False)
def _corrected(images_digest: str, key: str, _images: ImageSet, _corrections: Corrections) -> ImageSet:
    return put(_images, _corrections)
