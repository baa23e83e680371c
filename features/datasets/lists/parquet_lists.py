"""Reads lists that are Parquet: columns of paths, and none of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features import files
from features.datasets.lists.table import Table
from features.errors import DatasetError


def names_paths(schema: pa.Schema) -> bool:
    """Whether a table of such a schema can only name images: it has texts, and bytes nowhere."""
    fields = [schema.field(name).type for name in schema.names]
    return any(map(_is_text, fields)) and not any(map(_holds_bytes, fields))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _holds_bytes(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _holds_bytes(kind.storage_type)
    if kind.num_fields:
        return any(_holds_bytes(kind.field(number).type) for number in range(kind.num_fields))
    return any(
        test(kind)
        for test in (
            pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view
        )
    )  # fmt: skip


def is_list(tables: Sequence[Path]) -> bool:
    """Whether some Parquet files are lists. Those that cannot be read are for others to refuse."""
    try:
        with files.readable(tables[0]) as source:
            return names_paths(pq.read_schema(source))
    except (OSError, pa.ArrowException):
        return False


def table_of(tables: Sequence[Path], where: str) -> Table:
    """Parquet files as one table. Raises DatasetError if they cannot be read or differ in their columns."""
    read = []
    try:
        for path in tables:
            with files.readable(path) as source:
                read.append(pq.read_table(source, columns=_columns(path)))
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{where} cannot be read as Parquet: {error}. Copy it again.") from error
    for path, table in zip(tables, read, strict=True):
        if table.schema.names != read[0].schema.names:
            raise DatasetError(
                f"{path} has the columns {', '.join(table.schema.names)}, and {tables[0]} "
                f"{', '.join(read[0].schema.names)}. Give files of one kind."
            )
    names = read[0].schema.names
    columns: dict[str, list[Any]] = {name: [cell for table in read for cell in _cells(table[name])] for name in names}
    if not len(next(iter(columns.values()))):
        raise DatasetError(f"{where} has no rows. Is it the right place?")
    return Table(where, columns, True)


def table_in(source: Any, where: str, of_paths: bool = True) -> Table | None:
    """A Parquet file as a table. source: as `pyarrow.parquet` takes it. of_paths: whether None is given where it cannot
    name files.

    Raises DatasetError if it cannot be read.
    """
    try:
        with pq.ParquetFile(source) as opened:
            if of_paths and not names_paths(opened.schema_arrow):
                return None
            read = opened.read(columns=_told(opened.schema_arrow))
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{where} cannot be read as Parquet: {error}. Copy it again.") from error
    return Table(where, {name: _cells(read[name]) for name in read.schema.names}, True)


def sizes(tables: Sequence[Path]) -> list[int]:
    """The rows of each of some Parquet files."""
    counts = []
    for path in tables:
        with files.readable(path) as source:
            counts.append(pq.read_metadata(source).num_rows)
    return counts


def _columns(path: Path) -> list[str]:
    """Those that say something of an image: no vectors, such as features."""
    with files.readable(path) as source:
        return _told(pq.read_schema(source))


def _told(schema: pa.Schema) -> list[str]:
    return [name for name in schema.names if not pa.types.is_fixed_size_list(schema.field(name).type)]


def _cells(column: pa.ChunkedArray) -> list[Any]:
    cells = column.to_pylist()
    return [str(cell) if not isinstance(cell, str | int | float | list | dict | None) else cell for cell in cells]
