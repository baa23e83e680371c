"""Columns of a table of somebody's own, joined to images by their names."""

import io
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from features.datasets.columns import column_of
from features.datasets.lists import parquet_lists, text
from features.datasets.lists.roles import may_name_images
from features.datasets.lists.table import Table, plain
from features.errors import DatasetError

PARQUET = ".parquet"
ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", PARQUET)


def joined(ids: Sequence[str], data: bytes, name: str) -> tuple[dict[str, np.ndarray], int]:
    """What a table says of N images: column -> (N,) as `columns.column_of` makes them, nothing where no row names an
    image; and how many images some row names.

    ids: the images'. data, name: the table's bytes and file name, whose ending says what it is: CSV or TSV of whatever
    encoding and delimiter, JSON, JSON lines, or Parquet. The column that names most images is the one that it is
    joined by: by whole ids, else by the files' names in them, with their endings or without, where these are different.
    Raises DatasetError if no column names an image, an image is named twice, or it is no table.
    """
    table = _table_of(data, name, frozenset(ids))
    by, rows = max(
        ((column, _rows(ids, cells)) for column, cells in table.columns.items() if _may_name(column, cells)),
        key=lambda pair: sum(map(len, pair[1])),
        default=("", []),
    )
    count = sum(map(bool, rows))
    if not count:
        raise DatasetError(
            f"No column of {name} names any of the {len(ids):,} images, such as {ids[0]!r}. It has {table.said()}. "
            "Write the images' ids or file names into one of them."
        )
    for image_id, own in zip(ids, rows, strict=True):
        if len(own) > 1:
            raise DatasetError(
                f"{name} names {image_id!r} in {len(own):,} rows of its column {by}, the first are {own[0] + 1:,} and "
                f"{own[1] + 1:,}. Leave one row for each image."
            )
    places = [own[0] if own else None for own in rows]
    others = {column: cells for column, cells in table.columns.items() if column != by}
    if not others:
        raise DatasetError(f"{name} has no column beside {by}, which names the images. Add what is to be told of them.")
    told = {
        column: column_of([None if place is None else cells[place] for place in places])
        for column, cells in others.items()
    }
    return told, count


def _table_of(data: bytes, name: str, known: Collection[str]) -> Table:
    """known: the images' ids, by which a first line is told from names of columns."""
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        raise DatasetError(f"{name} is no table that is read here. Wanted one of {', '.join(ENDINGS)}.")
    table = (
        parquet_lists.table_in(io.BytesIO(data), name, of_paths=False)
        if ending == PARQUET
        else text.table_of(data, name, ending, lambda cell: plain(cell) in known)
    )
    if table is None or not len(table):
        raise DatasetError(f"{name} has no rows. Write one for each image.")
    return table


def _may_name(column: str, cells: Sequence[object]) -> bool:
    """Whether a column may name images: numbers do where it is called so, since '1.jpg' is no image of cluster 1."""
    return may_name_images(column) or not all(str(cell).strip().isdigit() for cell in cells)


def _rows(ids: Sequence[str], cells: Sequence[object]) -> list[list[int]]:
    """The rows that name each image, by the first way of spelling by which any does."""
    for spelled in (plain, lambda name: PurePosixPath(plain(name)).name, lambda name: PurePosixPath(plain(name)).stem):
        known: dict[str, int] = {}
        for number, image_id in enumerate(ids):
            known.setdefault(spelled(image_id), number)
        if len(known) < len(ids):  # two images would be called the same
            continue
        rows: list[list[int]] = [[] for _ in ids]
        for row, cell in enumerate(cells):
            if isinstance(cell, str | int) and (named := known.get(spelled(str(cell)))) is not None:
                rows[named].append(row)
        if any(rows):
            return rows
    return [[] for _ in ids]
