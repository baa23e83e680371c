"""Labels and boxes of COCO's JSON files ('instances_val2017.json') as a set of many labels. Format:
https://cocodataset.org/#format-data.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from features.datasets import kinds, splits
from features.datasets.annotated.annotations import Annotations, Names
from features.datasets.boxes import boxes_of
from features.datasets.image_set import spelled
from features.datasets.labelling import Labelling
from features.errors import DatasetError, ImageError

if TYPE_CHECKING:
    from features.datasets.listing import Listing

ENDING = ".json"
INSTANCES = "instances"
KEYS = (b'"images"', b'"annotations"', b'"categories"')


@dataclass(frozen=True, eq=False)
class CocoFile:
    """One such file.

    name: its path. folder: that it lies in, '' for the top. split: what its name says, or ''. content: as JSON.
    """

    name: str
    folder: str
    split: str
    content: dict[str, Any]


def of_listing(listing: "Listing", ids: Sequence[str]) -> Annotations | None:
    """What COCO's files among some files say of the images there; None where there are none."""
    files = []
    for number, name in enumerate(listing.names):
        if not name.lower().endswith(ENDING):
            continue
        path = PurePosixPath(name)
        if kinds.is_hidden(name) or not re.search(r"instances|annotation|coco|train|val|test", path.stem, re.I):
            continue
        content = content_of(_read(listing, number), name)
        if content is not None:
            folder = str(path.parent)
            files.append(CocoFile(name, "" if folder == "." else folder, split_of(path), content))
    instances = [file for file in files if INSTANCES in file.name.lower()]  # beside key points of the same images
    return joined(instances or files, ids, ", ".join(file.name for file in (instances or files)[:4])) if files else None


def split_of(path: PurePosixPath) -> str:
    """'val2017' of 'instances_val2017.json', 'train' of 'train/_annotations.coco.json'; '' for none."""
    rest = re.sub(r"(?i)^_*(instances|annotations?|coco)[._-]*|[._-]*(instances|annotations?|coco)$", "", path.stem)
    names = [rest, *([path.parent.name] if path.parent.name else [])]
    return next((name for name in names if name and splits.kind_of(name) is not None), "")


def _read(listing: "Listing", number: int) -> bytes:
    """A file of a source, which on this machine may be larger than an image. Raises DatasetError if it is too large."""
    try:
        place = listing.locate(number)
        if "://" not in place and Path(place).is_file():
            return Path(place).read_bytes()
        return listing.read(number)[0]
    except (OSError, ImageError) as error:
        if INSTANCES not in listing.names[number]:
            return b""
        raise DatasetError(
            f"{listing.names[number]} may have labels, but cannot be read: {error} Unpack it, or take it out."
        ) from error


def content_of(data: bytes, where: str) -> dict[str, Any] | None:
    """What such a file says; None if it is another's. Raises DatasetError if it is damaged."""
    if not all(key in data for key in KEYS):
        return None
    try:
        content = json.loads(data)
        images, annotations, categories = (content[key] for key in ("images", "annotations", "categories"))
        if not all(isinstance(part, list) for part in (images, annotations, categories)) or not images:
            return None
        if not all(isinstance(image["file_name"], str) and "id" in image for image in images):
            return None
        known = {category["id"]: str(category["name"]) for category in categories}
        strange = next((each for each in annotations if each["category_id"] not in known), None)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where} is damaged: {error}. Copy it again.") from error
    except (KeyError, TypeError, AttributeError):
        return None
    if strange is not None:
        raise DatasetError(
            f"{where} has an annotation of category {strange['category_id']}, which is none of its {len(known)}. Copy "
            "it again."
        )
    return content


def joined(several: Sequence[CocoFile], ids: Sequence[str], where: str) -> Annotations | None:
    """What some files say together; None if they name none of the images."""
    classes = _classes(several)
    place = {name: index for index, name in enumerate(classes)}
    names = Names(ids)
    of: dict[int, set[int]] = {}
    split_of: dict[int, str] = {}
    boxes: list[tuple[int, int, tuple[float, ...]]] = []
    lost = 0
    for file in several:
        category = {each["id"]: place[spelled(str(each["name"]))] for each in file.content["categories"]}
        rows: dict[Any, int] = {}
        for image in file.content["images"]:
            row = _row(names, image["file_name"], file)
            if row is None:
                lost += 1
                continue
            rows[image["id"]] = row
            of.setdefault(row, set())
            split_of.setdefault(row, file.split)
        for each in file.content["annotations"]:
            if (row := rows.get(each["image_id"])) is not None:
                of[row].add(category[each["category_id"]])
                if len(each.get("bbox") or ()) == 4:
                    left, top, width, height = map(float, each["bbox"])
                    boxes.append((row, category[each["category_id"]], (left, top, left + width, top + height)))
    if not of:
        return None
    rows_in_order = sorted(of)
    labelling = Labelling([tuple(classes[i] for i in sorted(of[row])) for row in rows_in_order], classes, many=True)
    note = f"The labels of {len(of):,} of {len(ids):,} images come from {where}: what is annotated in each."
    missing = (f"{lost:,} images that {where} names are not here.",) if lost else ()
    told = [split_of[row] or None for row in rows_in_order]
    return Annotations(
        rows_in_order,
        labelling,
        where,
        told if len({*told} - {None}) > 1 else None,
        boxes=boxes_of(boxes, rows_in_order),
        notes=(note, *missing),
        files=tuple(file.name for file in several),
    )


def _classes(several: Sequence[CocoFile]) -> tuple[str, ...]:
    """The categories of all files, in the order of their ids."""
    known = {(each["id"], spelled(str(each["name"]))) for file in several for each in file.content["categories"]}
    return tuple(dict.fromkeys(name for _, name in sorted(known, key=lambda pair: (str(type(pair[0])), *pair))))


def _row(names: Names, name: str, file: CocoFile) -> int | None:
    """The image of a file's name: in the folder that is called as the file's split, else wherever it lies."""
    path = spelled(name.replace("\\", "/").removeprefix("./"))
    if file.split:
        base = str(PurePosixPath(file.folder).parent).removeprefix(".") if file.folder else ""
        for folder in (f"{base}/{file.split}" if base else file.split, f"images/{file.split}"):
            if (row := names.row(f"{folder}/{path}", "")) is not None:
                return row
    return names.row(path, file.folder)
