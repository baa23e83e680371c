"""Labels and boxes of Pascal VOC's folders (JPEGImages, Annotations, ImageSets/Main) as a set of many labels. Format:
Everingham et al. 2010, The Pascal Visual Object Classes Challenge, doi:10.1007/s11263-009-0275-4.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from features.datasets import splits
from features.datasets.annotations import Annotations
from features.datasets.coco import boxes_of
from features.datasets.image_set import spelled
from features.datasets.labelling import Labelling
from features.errors import DatasetError, ImageError

if TYPE_CHECKING:
    from features.datasets.listing import Listing

IMAGES, XML, ENDING, LISTS = "JPEGImages", "Annotations", ".xml", ("ImageSets", "Main")


def of_listing(listing: "Listing", ids: Sequence[str]) -> Annotations | None:
    """What Pascal VOC's files among some files say of the images there; None where there are none.

    Labels are the names of the objects in each image, also of those that are marked difficult.
    """
    annotations = [number for number, name in enumerate(listing.names) if name.endswith(ENDING) and f"{XML}/" in name]
    if not annotations:
        return None
    images = {str(PurePosixPath(name).with_suffix("")): row for row, name in enumerate(ids)}
    told: dict[int, list[tuple[str, tuple[float, ...]]]] = {}
    first = ""
    for number in annotations:
        path = PurePosixPath(listing.names[number])
        if path.parent.name != XML or len(path.parts) < 2:
            continue
        row = images.get(spelled(str(path.parents[1] / IMAGES / path.stem)))
        if row is not None:
            told[row] = _objects(listing, number)
            first = first or str(path.parent)
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


def _objects(listing: "Listing", number: int) -> list[tuple[str, tuple[float, ...]]]:
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
    for number, name in enumerate(listing.names):
        path = PurePosixPath(name)
        if path.parent.parts[-2:] != LISTS or splits.kind_of(path.stem) is None:
            continue
        lines = listing.read(number)[0].decode("utf-8", "replace").splitlines()
        known |= {line.split()[0]: path.stem for line in lines if line.strip()}
    return [known.get(stem) for stem in stems] if known else None
