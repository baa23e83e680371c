"""Notes as tables that other programs read, and image sets as lists with corrected labels."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

from features.datasets import ImageSet
from features.datasets.image_set import JOIN
from features.errors import DatasetError
from features.notes.current import ImageNotes, Notes
from features.registry import Registry

COLUMNS = ("digest", "size", "id", "place", "source", "given", "label", "tags", "note", "by", "at")


@dataclass(frozen=True)
class Format:
    """A kind of file that notes are written to. ending: of its name. write: all that is noted -> the file's text."""

    name: str
    title: str
    ending: str
    mime: str
    write: Callable[[Notes], str]


def as_csv(notes: Notes) -> str:
    """A row an image, tags with ';' between them."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for each in _in_order(notes):
        known = _row(each) | {"tags": JOIN.join(each.tags)}
        table.writerow(["" if known[name] is None else known[name] for name in COLUMNS])
    return text.getvalue()


def as_json_lines(notes: Notes) -> str:
    """An object an image and line, tags as a list, without what is not noted."""
    rows = (
        {name: value for name, value in _row(each).items() if value not in (None, "", [])} for each in _in_order(notes)
    )
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


FORMATS: Registry[Format] = Registry(
    "format of notes",
    (
        Format("csv", "CSV", ".csv", "text/csv", as_csv),
        Format("jsonl", "JSON Lines", ".jsonl", "application/jsonl", as_json_lines),
    ),
)


def as_list(images: ImageSet) -> str:
    """A set as a list of paths and labels, as CSV, which every command takes as its SOURCE: with corrected labels of a
    set whose labels were corrected. Raises DatasetError for a set without labels, or of places that no list can name.
    """
    if not images.is_labelled:
        raise DatasetError(f"{images.name} has no labels to list. Label all of its images first.")
    several = next((name for name in images.class_names if JOIN in name), None)
    if several is not None:
        raise DatasetError(
            f"The label {several!r} would be read as several, since {JOIN!r} stands between labels in a list. Correct "
            "it to one without."
        )
    places = [images.uri(row) for row in range(len(images))]
    nowhere = next((place for place in places if place.startswith(("torchvision:", "hf:", "parquet://"))), None)
    if nowhere is not None:
        raise DatasetError(
            f"{images.name} lies in no files that a list could name ({nowhere}). Give commands the set itself with "
            "--corrections."
        )
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("path", "label"))
    table.writerows((place, images.label_name(row)) for row, place in enumerate(places))
    return text.getvalue()


def _in_order(notes: Notes) -> list[ImageNotes]:
    return sorted((each for each in notes.of.values() if not each.is_empty), key=lambda each: (each.id, each.digest))


def _row(each: ImageNotes) -> dict[str, object]:
    return {name: getattr(each, name) for name in COLUMNS} | {"tags": list(each.tags)}
