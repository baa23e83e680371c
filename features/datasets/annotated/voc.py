"""Labels and boxes of Pascal VOC's folders (JPEGImages, Annotations, ImageSets/Main) as a set of many labels. Format:
Everingham et al. 2010, The Pascal Visual Object Classes Challenge, doi:10.1007/s11263-009-0275-4.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from features.datasets import kinds, splits
from features.datasets.annotated.annotations import Annotations, Names
from features.datasets.boxes import boxes_of
from features.datasets.image_set import spelled
from features.datasets.labelling import Labelling
from features.errors import DatasetError, ImageError

if TYPE_CHECKING:
    from features.datasets.listing import Listing

Objects = list[tuple[str, tuple[float, ...]]]  # of an image: their names and corners
LEAST_SHARE = 0.5  # of the images
IMAGES, XML, ENDING, LISTS = "JPEGImages", "Annotations", ".xml", ("ImageSets", "Main")


def of_listing(
    listing: "Listing", ids: Sequence[str], in_folders: Callable[[], bool] = lambda: False
) -> Annotations | None:
    """What Pascal VOC's files among some files say of the images there; None where there are none.

    Such files in other folders than VOC's count where most images have one, unless they lie in folders of classes
    (in_folders). Labels are the names of the objects in each image, also of those that are marked difficult.
    """
    files = [number for number, name in enumerate(listing.names) if name.endswith(ENDING) and not kinds.is_hidden(name)]
    annotations = [number for number in files if f"{XML}/" in listing.names[number]]
    told, first = _in_layout(listing, ids, annotations)
    if (
        not told
        and files
        and len(files) >= LEAST_SHARE * len(ids)
        and _is_annotation(listing, files[0])
        and not in_folders()
    ):
        annotations = files
        told, first = _beside(listing, ids, files)
        told = told if len(told) >= LEAST_SHARE * len(ids) else {}
    if not told:
        return None
    rows = sorted(told)
    classes = tuple(sorted({label for objects in told.values() for label, _ in objects}))
    place = {name: index for index, name in enumerate(classes)}
    of = [tuple(classes[i] for i in sorted({place[label] for label, _ in told[row]})) for row in rows]
    boxes = [(row, place[label], corners) for row in rows for label, corners in told[row] if corners]
    note = f"The labels of {len(rows):,} of {len(ids):,} images come from {first}: the objects in each."
    return Annotations(
        rows,
        Labelling(of, classes, many=True),
        first,
        _splits(listing, [PurePosixPath(ids[row]).stem for row in rows]),
        boxes=boxes_of(boxes, rows),
        notes=(note,),
        files=tuple(listing.names[number] for number in annotations),
    )


def _in_layout(listing: "Listing", ids: Sequence[str], annotations: Sequence[int]) -> tuple[dict[int, Objects], str]:
    """The objects of images in JPEGImages by their numbers, and the first folder of annotations."""
    images = {str(PurePosixPath(name).with_suffix("")): row for row, name in enumerate(ids)} if annotations else {}
    told: dict[int, Objects] = {}
    first = ""
    for number in annotations:
        path = PurePosixPath(listing.names[number])
        if path.parent.name != XML or len(path.parts) < 2:
            continue
        row = images.get(spelled(str(path.parents[1] / IMAGES / path.stem)))
        if row is not None:
            told[row] = _objects(listing, number)
            first = first or str(path.parent)
    return told, first


def _beside(listing: "Listing", ids: Sequence[str], annotations: Sequence[int]) -> tuple[dict[int, Objects], str]:
    """As `_in_layout`, of images that have their annotation's name, in its folder or another."""
    names = Names(ids)
    told: dict[int, Objects] = {}
    for number in annotations:
        path = PurePosixPath(listing.names[number])
        folder = "" if path.parent == PurePosixPath() else str(path.parent)
        images = re.sub(r"(?i)\b(annotations?|xmls?|labels?)\b", "images", folder)
        row = names.row(spelled(path.stem), spelled(folder), spelled(images))
        if row is not None and _is_annotation(listing, number):
            told[row] = _objects(listing, number)
    return told, str(PurePosixPath(listing.names[annotations[0]]).parent)


def _is_annotation(listing: "Listing", number: int) -> bool:
    try:
        return b"<annotation" in listing.read(number)[0][:1000]
    except (ImageError, DatasetError):
        return False


def _objects(listing: "Listing", number: int) -> Objects:
    """The objects of one file: their names and corners, which count from 1 there, () for none."""
    name = listing.names[number]
    try:
        data, _ = listing.read(number)
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise ValueError("it declares entities")
        root = ElementTree.fromstring(data)
        return [(spelled((each.findtext("name") or "").strip()), _corners(each)) for each in root.findall("object")]
    except (ElementTree.ParseError, ValueError, ImageError) as error:
        raise DatasetError(f"{name} cannot be read as an annotation: {error}. Copy it again.") from error


def _corners(each: ElementTree.Element) -> tuple[float, ...]:
    box = each.find("bndbox")
    if box is None:
        return ()
    left, top, right, bottom = (float(box.findtext(side) or "nan") for side in ("xmin", "ymin", "xmax", "ymax"))
    return left - 1, top - 1, right, bottom


def _splits(listing: "Listing", stems: Sequence[str]) -> list[str | None] | None:
    """The split of each image, as ImageSets/Main lists them; None where it lists none."""
    known: dict[str, str] = {}
    paths = [(PurePosixPath(name), number) for number, name in enumerate(listing.names) if name.endswith(".txt")]
    lists = [each for each in paths if each[0].parent.parts[-2:] == LISTS and splits.kind_of(each[0].stem) is not None]
    for path, number in sorted(lists, key=lambda each: each[0].stem != splits.UNION):  # what tells more comes later
        lines = listing.read(number)[0].decode("utf-8", "replace").splitlines()
        known |= {line.split()[0]: path.stem for line in lines if line.strip()}
    return [known.get(stem) for stem in stems] if known else None
