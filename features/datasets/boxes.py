"""Boxes of images, also as cells that name things and where they are: 'n01440764 111 108 370 297' (ILSVRC)."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from features.datasets.image_set import Boxes, spelled

Things = list[tuple[str, tuple[float, ...]]]  # their names and corners: left, top, right, bottom
NUMBER = r"-?\d+(?:\.\d+)?"
THING = re.compile(rf"\s*([^\W\d_]\S*)((?:\s+{NUMBER}){{4}})(?=\s|$)")
CELL = re.compile(rf"(?:{THING.pattern})+\s*")


def are_boxes(cells: Sequence[Any]) -> bool:
    """Whether all cells that hold something name things with four numbers each, and some do."""
    some = False
    for cell in cells:
        if cell is None or cell == "":
            continue
        if not isinstance(cell, str) or CELL.fullmatch(cell) is None:
            return False
        some = True
    return some


def things_in(cell: Any) -> Things:
    """The things that a cell names."""
    if not isinstance(cell, str):
        return []
    return [(name, tuple(map(float, numbers.split()))) for name, numbers in THING.findall(cell)]


def boxes_in(cells: Sequence[Any], classes: Sequence[str]) -> Boxes | None:
    """Boxes of the cells of a column that names things and where they are (`things_in`), one cell an image."""
    place = {name: index for index, name in enumerate(classes)}
    named = [
        (row, place[spelled(name)], corners) for row, cell in enumerate(cells) for name, corners in things_in(cell)
        if spelled(name) in place
    ]  # fmt: skip
    return boxes_of(named, range(len(cells)))


def boxes_of(boxes: Sequence[tuple[int, int, tuple[float, ...]]], rows: Sequence[int]) -> Boxes | None:
    """Boxes as (image's row, label, corners), in the order of the images at `rows`; None without any."""
    if not boxes:
        return None
    place = {row: index for index, row in enumerate(rows)}
    ordered = sorted(((place[row], label, corners) for row, label, corners in boxes), key=lambda box: box[0])
    images, labels, corners = zip(*ordered, strict=True)
    return Boxes(np.array(images, np.int64), np.array(labels, np.int64), np.array(corners, np.float32))
