"""Reads lists that are JSON: objects, pairs, columns, and objects that sort images by class, split or path."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from features.datasets import splits
from features.datasets.lists.roles import is_known
from features.datasets.lists.table import Table, numbered
from features.errors import DatasetError

PATH, LABEL, SPLIT = "path", "label", "split"
LOOKED_AT = 50  # entries
Row = dict[str, Any]


def table_of(text: str, where: str, lines: bool, looks: Callable[[str], bool]) -> Table:
    """A list that is JSON as a table. lines: whether a value stands on each line. looks: whether a text is called as
    images are.

    Raises DatasetError if it has no rows, or is damaged.
    """
    try:
        values = [json.loads(line) for line in text.split("\n") if line.strip()] if lines else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where} is damaged JSON: {error}. Write an object a line into a .jsonl.") from error
    if isinstance(values, dict):
        values = _rows_of(values, looks)
    if not isinstance(values, list):
        raise DatasetError(f"{where} holds no list of images. Write an object a line into a .jsonl, with a path.")
    if not values:
        raise DatasetError(f"{where} names no images. Write an object a line into it, with a path.")
    if all(isinstance(value, list) for value in values):
        return _of_cells(values, where)
    rows = [_flat(value) if isinstance(value, dict) else {PATH: value} for value in values]
    names = [*dict.fromkeys(name for row in rows for name in row)]
    return Table(where, {name: [row.get(name) for row in rows] for name in names}, True)


def _of_cells(rows: Sequence[Sequence[Any]], where: str) -> Table:
    width = max(map(len, rows))
    columns = [[row[place] if place < len(row) else None for row in rows] for place in range(width)]
    return Table(where, dict(zip(numbered(width), columns, strict=True)), False)


def _flat(row: Row) -> Row:
    """An object whose inner objects' entries stand in it, as 'image.path'."""
    objects = {name: cell for name, cell in row.items() if isinstance(cell, dict)}
    inner = {f"{name}.{key}": value for name, cell in objects.items() for key, value in cell.items()}
    return {name: cell for name, cell in row.items() if not isinstance(cell, dict)} | inner


def _rows_of(content: Row, looks: Callable[[str], bool]) -> list[Any]:
    """The rows of an object, in the ways in which pandas and others write them; [] for none."""
    lists = {name: value for name, value in content.items() if isinstance(value, list)}
    if {"columns", "data"} <= set(lists) and all(isinstance(row, list) for row in lists["data"]):  # pandas' "split"
        return [dict(zip(map(str, lists["columns"]), row, strict=False)) for row in lists["data"]]
    if _most([*content], looks):  # 'cat/0.jpg': what is said of it
        return [
            {PATH: path, **said} if isinstance(said, dict) else {PATH: path, LABEL: said}
            for path, said in content.items()
        ]
    if content and all(isinstance(value, dict) for value in content.values()):
        return _of_objects(content)
    if len(lists) < 2:
        return next(iter(lists.values()), [])
    parts = {name: rows for name, rows in lists.items() if splits.kind_of(name) is not None}
    if len(parts) > 1:
        return [_with(row, SPLIT, name) for name, rows in parts.items() for row in rows]
    if len(lists) == len(content) and all(isinstance(row, str | int) for rows in lists.values() for row in rows):
        same_length = len({*map(len, lists.values())}) == 1
        if same_length and any(map(is_known, lists)):
            return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]
        return [{PATH: path, LABEL: name} for name, rows in lists.items() for path in rows]
    return next(iter(lists.values()))


def _of_objects(content: Mapping[str, Row]) -> list[Any]:
    """The rows of objects by their names: columns, as pandas writes them, or rows."""
    inner = [*dict.fromkeys(key for each in content.values() for key in each)]
    if inner and all(map(str.isdecimal, inner)):
        return [{name: cells.get(key) for name, cells in content.items()} for key in inner]
    return [*content.values()]


def _with(row: Any, name: str, value: str) -> Row:
    return {**(row if isinstance(row, dict) else {PATH: row}), name: value}


def _most(names: Sequence[str], looks: Callable[[str], bool]) -> bool:
    some = names[:LOOKED_AT]
    return 2 * sum(map(looks, some)) > len(some)
