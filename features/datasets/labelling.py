"""Labels that something beside the images tells: one or several an image."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from features.datasets import boxes
from features.datasets.classes import composed
from features.datasets.columns import column_of, text_of
from features.datasets.image_set import ImageSet
from features.errors import DatasetError

WHOLE = re.compile(r"-?\d+\.0")
SEPARATORS = (";", "|")
NUMBERS = re.compile(r"\s*\d+(?:\s+\d+)*\s*")
YES, NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no", "-1", "-1.0")


@dataclass(frozen=True, eq=False)
class Labelling:
    """What N images are labelled with.

    of: (N,) the names of each image's labels, None where they are not known. classes: all names, in their order.
    many: whether an image may have any number of labels, and not exactly one.
    """

    of: Sequence[tuple[str, ...] | None]
    classes: tuple[str, ...]
    many: bool = False

    def take(self, rows: Sequence[int]) -> "Labelling":
        """Those of some of the images."""
        return replace(self, of=[self.of[row] for row in rows])

    def put(self, images: ImageSet, where: str) -> ImageSet:
        """The same N images with these labels; without any if those of some are not known, which is told.

        where: what tells the labels.
        """
        known = sum(names is not None for names in self.of)
        if not known:
            return images
        if known < len(images):
            first = next(name for name, names in zip(images.ids, self.of, strict=True) if names is None)
            note = (
                f"The images have no labels: {where} has those of {known:,} of {len(images):,}, and none of {first}. "
                "Label all of them, or none."
            )
            return replace(images, notes=(*images.notes, note))
        place = {name: index for index, name in enumerate(self.classes)}
        named = [names or () for names in self.of]
        if not self.many:
            labels = np.fromiter((place[names[0]] for names in named), np.int64, len(named))  # (N,)
            return replace(images, labels=labels, class_names=self.classes)
        sets = np.zeros((len(named), len(self.classes)), bool)  # (N, K)
        for row, names in enumerate(named):
            sets[row, [place[name] for name in names]] = True
        return replace(images, label_sets=sets, class_names=self.classes)


def of_cells(cells: Sequence[Any]) -> Labelling:
    """Labels of one column: names or numbers, several as lists, as JSON's, or with ';' or '|' between them, with ',' or
    blanks where these can be no part of names, or names with boxes.
    """
    if boxes.are_boxes(cells):
        named = [_names([name for name, _ in boxes.things_in(cell)]) for cell in cells]
        return _labelling(named, many=any(len(names) != 1 for names in named))
    lists = [_listed(cell) for cell in cells]
    separator = _separator({cell for cell in cells if isinstance(cell, str)})
    if any(each is not None for each in lists):
        named = [_names(listed if listed is not None else [cell]) for cell, listed in zip(cells, lists, strict=True)]
        return _labelling(named, many=True)
    if separator is not None:
        return _labelling([_names(text_of(cell).split(separator)) for cell in _known(cells)], many=True)
    kept: dict[str, tuple[str, ...]] = {}  # as many tuples as classes, and not as images
    texts = [None if cell is None else composed(text_of(cell)) for cell in _known(cells, None)]
    if all(text is None or WHOLE.fullmatch(text) for text in set(texts)):  # as libraries write whole numbers
        texts = [None if text is None else text[:-2] for text in texts]
    of = [None if text is None else kept.setdefault(text, (text,)) for text in texts]
    return Labelling(of, tuple(sorted(kept)))


def _separator(cells: set[str]) -> str | None:
    """What stands between several labels in a cell; None where each cell is one. cells: those that differ.

    Commas and blanks stand in names too ('tench, Tinca tinca', 'golden retriever'). They part labels where all is
    numbers, or where the parts are fewer than the cells that they make, and some are cells of their own.
    """
    for sign in SEPARATORS:
        if any(sign in cell for cell in cells):
            return sign
    if any(" " in cell.strip() for cell in cells) and all(map(NUMBERS.fullmatch, filter(str.strip, cells))):
        return " "
    for sign, fewer in ((",", 1), (" ", 2)):
        parts = {part.strip() for cell in cells for part in cell.split(sign)} - {""}
        alone = parts & {cell.strip() for cell in cells}
        if any(sign in cell.strip() for cell in cells) and alone and fewer * len(parts) <= len(cells - {""}):
            return sign
    return None


def _known(cells: Sequence[Any], instead: Any = "") -> list[Any]:
    """Cells, with something else where they hold nothing."""
    return [instead if _is_nothing(cell) else cell for cell in cells]


def _is_nothing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and cell != cell)


def _names(parts: Sequence[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(composed(text_of(part)) for part in parts if not _is_nothing(part)))


def _labelling(of: Sequence[tuple[str, ...]], many: bool) -> Labelling:
    return Labelling(of, tuple(sorted({name for names in of for name in names})), many)


def _listed(cell: Any) -> list[Any] | None:
    """A cell as a list: one, or its text as JSON and Python write it; None for others."""
    if isinstance(cell, list | tuple):
        return list(cell)
    if not isinstance(cell, str) or not (cell.lstrip().startswith("[") and cell.rstrip().endswith("]")):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(cell.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return list(value) if isinstance(value, list) else None
    return None


def is_yes_or_no(cells: Sequence[Any]) -> bool:
    """Whether a column says of every image whether it has a label: 0 or 1, true or false, -1 or 1."""
    return bool(cells) and all(text_of(cell).lower() in (*YES, *NO) for cell in set(map(_hashable, cells)))


def _hashable(cell: Any) -> Any:
    return str(cell) if isinstance(cell, list | dict) else cell


def of_columns(columns: Mapping[str, Sequence[Any]]) -> Labelling:
    """Labels of one column a class, of yes and no; one label an image if each has exactly one.

    Raises DatasetError if a column holds something else.
    """
    for name, cells in columns.items():
        if not is_yes_or_no([cell for cell in cells if not _is_nothing(cell)]):  # what is left open is no
            raise DatasetError(
                f"The column {name} is named as one of several of labels, but holds more than 0 and 1 "
                f"({', '.join(map(text_of, [*cells][:3]))}, ...). Name one column of labels, or columns of 0 and 1."
            )
    has = np.array([[text_of(cell).lower() in YES for cell in cells] for cells in columns.values()])  # (K, N)
    classes = tuple(columns)
    of = [tuple(classes[index] for index in np.flatnonzero(row)) for row in has.T]
    return Labelling(of, classes, many=not (has.sum(axis=0) == 1).all())


def further(columns: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
    """Columns as an image set has them: those that hold something."""
    values = {name: column_of(cells) for name, cells in columns.items()}
    return {name: cells for name, cells in values.items() if cells.dtype != object or any(c is not None for c in cells)}
