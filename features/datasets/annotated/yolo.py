"""Labels of YOLO's text files as a set of many labels: a file for each image, a line for each thing in it, which begins
with the number of its class. Format: Ultralytics, "Object Detection Datasets Overview", and Darknet's before it.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from features.datasets import kinds
from features.datasets.annotated.annotations import Annotations
from features.datasets.image_set import spelled
from features.datasets.labelling import Labelling
from features.errors import DatasetError, ImageError

if TYPE_CHECKING:
    from features.datasets.listing import Listing

ENDING, SETTINGS, NAMES = ".txt", (".yaml", ".yml"), (".names", ".labels")
CLASSES = ("classes.txt", "obj.names", "labels.txt", "class_names.txt", "names.txt")
LABELS = re.compile(r"(?:^|(?<=/))labels(?=/)")
LEAST_SHARE = 0.5  # of the images
LEAST = 4  # numbers behind that of a class: the middle, width and height; more for outlines and key points
BEYOND = (-0.5, 2.0)  # shares of the image's sides, which stick out a little; 2 is a key point that is seen
MOST_TEXT = 1 << 20  # letters of a file that names classes
Told = dict[int, tuple[int, ...]]  # an image's number -> the numbers of the classes in it


def of_listing(
    listing: "Listing", ids: Sequence[str], failed: list[str], in_folders: Callable[[], bool] = lambda: False
) -> Annotations | None:
    """What such text files among some files say of the images there; None where most images have none.

    failed: gets a sentence where a file is not written so, though others are. in_folders: whether the images lie in
    folders of classes, which count for more than texts beside them. An image without a file has no labels, if others
    of its folder have one.
    """
    files = [number for number, name in enumerate(listing.names) if name.endswith(ENDING)]
    if len(files) < LEAST_SHARE * len(ids):
        return None
    rows = _rows(listing, ids, files)
    if len(rows) < LEAST_SHARE * len(ids) or not _begins_well(listing, rows):
        return None
    if not any(LABELS.search(listing.names[number]) for number in rows.values()) and in_folders():
        return None
    try:
        told: Told = {row: _classes_in(listing, number) for row, number in rows.items()}
    except (DatasetError, ImageError) as error:
        failed.append(str(error))
        return None
    folders = {ids[row].rpartition("/")[0] for row in told}
    every = [row for row, name in enumerate(ids) if row in told or name.rpartition("/")[0] in folders]
    names, said_by = _names(listing)
    used = sorted({number for numbers in told.values() for number in numbers})
    called = {number: names.get(number, str(number)) for number in used}
    classes = tuple(dict.fromkeys(called[number] for number in used))
    of = [tuple(dict.fromkeys(called[number] for number in told.get(row, ()))) for row in every]
    first = listing.names[next(iter(rows.values()))]
    where = first.rpartition("/")[0] or listing.where
    note = f"The labels of {len(every):,} of {len(ids):,} images come from YOLO's text files in {where}"
    note += f", the names of classes from {said_by}." if said_by else ": numbers, since no file names the classes."
    used_files = (*(listing.names[number] for number in rows.values()), *([said_by] if said_by else []))
    return Annotations(every, Labelling(of, classes, many=True), where, notes=(note,), files=used_files)


def _rows(listing: "Listing", ids: Sequence[str], files: Sequence[int]) -> dict[int, int]:
    """The number of the text file of each image that has one: beside it, or in a folder 'labels' for its 'images'."""
    images = {name.rpartition(".")[0]: row for row, name in enumerate(ids)}
    rows = {}
    for number in files:
        stem = spelled(listing.names[number].removesuffix(ENDING))
        spellings = (stem, LABELS.sub("images", stem), re.sub(r"(?:^|(?<=/))labels/", "", stem))
        row = next((images[each] for each in spellings if each in images), None)
        if row is not None and not kinds.is_hidden(listing.names[number]):
            rows[row] = number
    return rows


def _begins_well(listing: "Listing", rows: dict[int, int]) -> bool:
    """Whether the first file that says something is written so."""
    for number in rows.values():
        try:
            if _classes_in(listing, number):
                return True
        except (DatasetError, ImageError):
            return False
    return False


def _classes_in(listing: "Listing", number: int) -> tuple[int, ...]:
    """The numbers of the classes in one image, each once. Raises DatasetError for a file of something else."""
    data, name = listing.read(number)
    classes: dict[int, None] = {}
    for line in data.decode("utf-8-sig", "replace").splitlines():
        parts = line.split()
        if not parts:
            continue
        if not _is_thing(parts):
            raise DatasetError(
                f"{name} is not used: it has the line {line[:60]!r} among YOLO's labels. Wanted the number of a class "
                "and shares of the image's sides, as in '0 0.5 0.5 0.2 0.3'."
            )
        classes[int(float(parts[0]))] = None
    return tuple(classes)


def _is_thing(parts: Sequence[str]) -> bool:
    try:
        number, *shares = map(float, parts)
    except ValueError:
        return False
    low, high = BEYOND
    return number >= 0 and number.is_integer() and len(shares) >= LEAST and all(low <= each <= high for each in shares)


def _names(listing: "Listing") -> tuple[dict[int, str], str]:
    """The names of classes by their numbers, and the file that says them; none where no file does."""
    files = sorted(
        (name.count("/"), number)
        for number, name in enumerate(listing.names)
        if name.endswith((*SETTINGS, *NAMES)) or name.rpartition("/")[2].lower() in CLASSES
    )
    for _, number in files:
        name = listing.names[number]
        try:
            text = listing.read(number)[0].decode("utf-8-sig", "replace")
        except ImageError:
            continue
        if len(text) > MOST_TEXT:
            continue
        if PurePosixPath(name).suffix in SETTINGS:
            names = _of_yaml(text)
        else:
            names = dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
        if names:
            return {place: spelled(each) for place, each in names.items()}, name
    return {}, ""


def _of_yaml(text: str) -> dict[int, str]:
    """The entry 'names' of a YAML file: a list, or numbers with names."""
    import yaml

    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # a file of something else
        return {}
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict):
        return {}
    return {int(place): str(name) for place, name in names.items() if str(place).isdecimal()}
