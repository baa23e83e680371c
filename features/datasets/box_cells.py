"""Cells that name things and where they are: 'n01440764 111 108 370 297 ...', as ILSVRC's solutions have them."""

import re
from collections.abc import Sequence
from typing import Any

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
