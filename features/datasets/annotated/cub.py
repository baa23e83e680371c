"""Labels, splits and boxes of CUB-200-2011's files, which NABirds has too: a list numbers the images, and others say of
each number what it shows. Format: Wah et al. 2011, The Caltech-UCSD Birds-200-2011 Dataset, README.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from features.datasets.annotated.annotations import Annotations, Names
from features.datasets.boxes import boxes_of
from features.datasets.image_set import spelled
from features.datasets.labelling import Labelling
from features.errors import ImageError
from features.sources import TEST, TRAIN

if TYPE_CHECKING:
    from features.datasets.listing import Listing

INDEX, LABELS, CLASSES = "images.txt", "image_class_labels.txt", "classes.txt"
SPLIT, BOXES = "train_test_split.txt", "bounding_boxes.txt"
IN_TRAINING = "1"


def is_index(path: Path) -> bool:
    """Whether a file numbers the images of such a set."""
    return path.name == INDEX and (path.parent / LABELS).is_file()


def of_listing(listing: "Listing", ids: Sequence[str]) -> Annotations | None:
    """What such files among some files say of the images there; None where there are none."""
    indices = [name for name in listing.names if name.endswith(INDEX) and name.rpartition("/")[2] == INDEX]
    if not indices:  # as nearly always, among a million files
        return None
    numbers = {name: number for number, name in enumerate(listing.names)}
    index = next((name for name in indices if _beside(name, LABELS) in numbers), None)
    if index is None:
        return None
    told = {name: _told(listing, numbers.get(_beside(index, name))) for name in (INDEX, LABELS, CLASSES, SPLIT, BOXES)}
    folder = "" if "/" not in index else index.rpartition("/")[0]
    names = Names(ids)
    folders = f"{folder}/images".lstrip("/"), folder
    placed = ((names.row(spelled(path), *folders), key) for key, path in told[INDEX].items())
    rows = {row: key for row, key in placed if row is not None and key in told[LABELS]}
    if not rows:
        return None
    ordered = sorted(rows)
    classes = _classes(told[LABELS], told[CLASSES], [rows[row] for row in ordered])
    of = [(classes[told[LABELS][rows[row]]],) for row in ordered]
    where = _beside(index, LABELS)
    split = [_split(told[SPLIT].get(rows[row])) for row in ordered]
    every = tuple(classes.values())
    return Annotations(
        ordered,
        Labelling(of, every),
        where,
        split if any(split) else None,
        boxes=boxes_of(_boxes(told[BOXES], rows, of, every), ordered),
        notes=(f"The labels of {len(ordered):,} of {len(ids):,} images come from {where}.",),
        files=tuple(_beside(index, name) for name in told),
    )


def _beside(index: str, name: str) -> str:
    return str(PurePosixPath(index).with_name(name))


def _told(listing: "Listing", number: int | None) -> dict[str, str]:
    """What a file says of each number: lines of a number and text; {} where it is not there."""
    if number is None:
        return {}
    try:
        lines = listing.read(number)[0].decode("utf-8", "surrogateescape").splitlines()
    except ImageError:
        return {}
    return {parts[0]: parts[1].strip() for line in lines if len(parts := line.split(None, 1)) == 2}


def _classes(labels: dict[str, str], named: dict[str, str], keys: Sequence[str]) -> dict[str, str]:
    """Those classes that some images have, in the order of their numbers, with their names; two of one name are two."""
    used = sorted({labels[key] for key in keys}, key=lambda label: (len(label), label))
    names = [spelled(named.get(label, label)) for label in used]
    return {
        label: name if names.count(name) == 1 else f"{name} ({label})" for label, name in zip(used, names, strict=True)
    }


def _split(told: str | None) -> str | None:
    return None if told is None else TRAIN if told == IN_TRAINING else TEST


def _boxes(
    told: dict[str, str], rows: dict[int, str], of: Sequence[tuple[str, ...]], classes: Sequence[str]
) -> list[tuple[int, int, tuple[float, ...]]]:
    """The box of each image that has one: left, top, width and height in the file."""
    place = {name: index for index, name in enumerate(classes)}
    boxes: list[tuple[int, int, tuple[float, ...]]] = []
    for row, (name,) in zip(sorted(rows), of, strict=True):
        try:
            left, top, width, height = map(float, told.get(rows[row], "").split())
        except ValueError:
            continue
        boxes.append((row, place[name], (left, top, left + width, top + height)))
    return boxes
