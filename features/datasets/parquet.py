"""Images whose files' bytes stand in a column of Parquet files, as Hugging Face's image sets keep them."""

import json
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from features.datasets import images
from features.datasets.image_set import FileOpener, ImageSet, from_store, set_digest, with_labels
from features.errors import DatasetError, ImageError
from features.files import readable

SUFFIX = ".parquet"
ID_COLUMNS = ("id", "image_id", "file_name", "filename", "path")
LABEL_COLUMNS = ("label", "labels", "class")
MANY_CLASSES = 100_000
GROUPS_KEPT = 2  # row groups held in memory at a time
LARGE_GROUP = 128 << 20  # bytes
PIECE_ROWS, PIECE_BYTES, PIECES_KEPT = 32, 4 << 20, 8  # of large row groups
LEAST_ROWS = 8  # of a piece: decoders ask for rows in about their order, and no row is to be read twice


def table_files(path: Path) -> list[Path]:
    """The Parquet files at a path: itself, or those in a folder, in the order of their names, with absolute paths."""
    path = path.resolve()
    candidates = (
        [path] if path.is_file() else [file for file in path.rglob(f"*{SUFFIX}") if not file.name.startswith(".")]
    )
    return sorted((file for file in candidates if file.suffix == SUFFIX), key=str)


def open_tables(path: Path) -> ImageSet:
    """The images in a Parquet file or a folder of them.

    Their bytes are in a column of binaries, or of structures with a binary called 'bytes' and perhaps a 'path'. Ids
    come from a column of names that are all different, else they are FILE/ROW. Labels come from a column called
    label, labels or class; where one is missing or negative the set counts as unlabelled.
    Raises DatasetError if there is no column of bytes.
    """
    path = path.resolve()
    files = table_files(path)
    column = _Column(files, str(path))
    ids = column.ids(path)

    def read(index: int) -> tuple[bytes, str]:
        return column.read(index, ids[index]), ids[index]

    marks = [f"{file.name} {status.st_size} {status.st_mtime_ns}" for file in files for status in (file.stat(),)]
    digest = set_digest([*ids, column.name], ["", *[""] * (len(ids) - 1), " ".join(marks)])
    opened = ImageSet(path.stem, tuple(ids), None, (), digest, FileOpener(read), column.uri)
    labels = column.labels()
    if labels is None:
        return opened
    names, values = labels
    return (
        replace(opened, labels=values, class_names=tuple(names))
        if names
        else with_labels(opened, list(map(str, values)))
    )


def open_row(path: Path, row: int) -> Image.Image:
    """The image in one row of a Parquet file."""
    name = f"{path.name}/{row}"
    try:
        return images.decode(_Column([path], str(path)).read(row, name), name)
    except DatasetError as error:
        raise ImageError(str(error)) from error


class _Column:
    """The column of image bytes of several files, read one row group at a time."""

    def __init__(self, files: Sequence[Path], where: str) -> None:
        self.files = files
        self.groups: list[tuple[Path, int, int, int]] = []  # file, row group in it, its first row there, its bytes
        sizes: list[int] = []
        schemas: list[pa.Schema] = []
        try:
            for file in files:
                with readable(file) as source, pq.ParquetFile(source) as opened:
                    metadata = opened.metadata
                    schemas.append(opened.schema_arrow)
                groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
                rows = [group.num_rows for group in groups]
                self.groups += [
                    (file, number, sum(rows[:number]), group.total_byte_size) for number, group in enumerate(groups)
                ]
                sizes += rows
            self.schema = schemas[0]
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{where} cannot be read as Parquet: {error}. Copy it again.") from error
        self.starts = np.cumsum([0, *sizes])  # (groups + 1,)
        self.name = next((field.name for field in self.schema if _holds_bytes(field.type)), "")
        if not self.name:
            raise DatasetError(
                f"{where} has no column of image bytes, only {', '.join(self.schema.names)}. Give Parquet files with a "
                "binary column, or with structures that have a binary called 'bytes'."
            )
        for file, schema in zip(files, schemas, strict=True):
            if schema.names != self.schema.names or schema.field(self.name).type != self.schema.field(self.name).type:
                raise DatasetError(
                    f"{file} has the columns {', '.join(schema.names)}, and {files[0]} {', '.join(self.schema.names)}. "
                    "Give files of one kind."
                )
        if not self.starts[-1]:
            raise DatasetError(f"{where} has no rows. Is it the right place?")
        self.nested = pa.types.is_struct(self.schema.field(self.name).type)
        self._groups = _Groups(f"{self.name}.bytes" if self.nested else self.name)

    def read(self, index: int, name: str) -> bytes:
        """The bytes of one image. Raises ImageError if there are none."""
        group = self._group_of(index)
        file, number, _, size = self.groups[group]
        try:
            with from_store(file, name):
                value = self._groups.value(file, number, size, index - int(self.starts[group])).as_py()
        except (OSError, pa.ArrowException) as error:
            raise ImageError(f"{name} cannot be read: {error}. Is its file still there?") from error
        data = value.get("bytes") if isinstance(value, dict) else value
        if data is None:
            raise ImageError(f"{name} has no bytes. Write the image itself into its row.")
        return data

    def _group_of(self, index: int) -> int:
        return int(np.searchsorted(self.starts, index, side="right")) - 1

    def uri(self, index: int) -> str:
        group = self._group_of(index)
        file, _, first, _ = self.groups[group]
        return f"parquet://{first + index - int(self.starts[group])}::{file}"

    def ids(self, root: Path) -> list[str]:
        candidates = [name for name in ID_COLUMNS if name in self.schema.names]
        nested = self.schema.field(self.name).type
        if self.nested and nested.get_field_index("path") >= 0:
            candidates.append(f"{self.name}.path")
        for name in candidates:
            if "." not in name and not _is_name(self.schema.field(name).type):
                continue
            values = [value["path"] if isinstance(value, dict) else value for value in self._whole(name)]
            if None not in values and len(set(values)) == len(values):
                return list(map(str, values))
        ids = []
        for (file, _, first, _), start, stop in zip(self.groups, self.starts, self.starts[1:], strict=False):
            name = file.name if file == root else file.relative_to(root).as_posix()
            ids += [f"{name}/{first + row}" for row in range(stop - start)]
        return ids

    def labels(self) -> tuple[list[str], np.ndarray] | None:
        """The classes' names, or none if only the labels tell them, and (N,) indices into them or the labels."""
        name = next((name for name in LABEL_COLUMNS if name in self.schema.names), None)
        if name is None:
            return None
        values = self._whole(name)
        if None in values:
            return None
        if not all(isinstance(value, int) for value in values):
            return ([], np.array(values)) if all(isinstance(value, str) for value in values) else None
        numbers = np.array(values, dtype=np.int64)
        if numbers.min() < 0:
            return None
        told = _class_names(self.schema, name)
        if not told and numbers.max() > MANY_CLASSES:  # numbers that are names, not places in a list
            return [], np.array(list(map(str, values)))
        names = told or [str(number) for number in range(numbers.max() + 1)]
        return (names, numbers) if numbers.max() < len(names) else None

    def _whole(self, name: str) -> list:
        values: list = []
        for file in self.files:
            with readable(file) as source:
                # Not `read_table`, which for a part of a structure reads all of it, and that is the images.
                values += pq.ParquetFile(source).read(columns=[name]).column(0).to_pylist()
        return values


class _Groups:
    """Row groups of one column, of which as much is held as is small: whole groups, or of a large one a few pieces.

    A large group, such as pandas makes of a whole table, is read from its beginning on: a row that lies before what is
    held starts it again. No less is read than the pages of the file, of which the first may hold a thousand rows.
    """

    def __init__(self, column: str) -> None:
        self._column = column
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._whole: OrderedDict[tuple[Path, int], pa.ChunkedArray] = OrderedDict()
        self._pieces: deque[tuple[tuple[Path, int], int, pa.Array]] = deque(maxlen=PIECES_KEPT)  # with their first row
        self._reading: _Reading | None = None
        # Where reading a group failed, and whether it did twice: then it is the file and not what lies before it.
        self._failed: dict[tuple[Path, int], tuple[int, bool, Exception]] = {}

    def value(self, file: Path, number: int, size: int, row: int) -> pa.Scalar:
        """One row of a file's row group of `size` bytes."""
        with self._lock:
            if self._process != os.getpid():  # open files cannot be shared with the process that this came from
                self._begin()
            group = file, number
            if size > LARGE_GROUP:
                return self._piece(group, row)
            if group not in self._whole:
                with readable(file) as source, pq.ParquetFile(source) as opened:
                    self._whole[group] = opened.read_row_group(number, columns=[self._column]).column(0)
                while len(self._whole) > GROUPS_KEPT:
                    self._whole.popitem(last=False)
            self._whole.move_to_end(group)
            return self._whole[group][row]

    def _piece(self, group: tuple[Path, int], row: int) -> pa.Scalar:
        while True:
            failed_at, again, error = self._failed.get(group, (row + 1, False, None))
            if again and row >= failed_at and error is not None:
                raise error
            for held, first, values in self._pieces:
                if held == group and first <= row < first + len(values):
                    return values[row - first]
            if self._reading is None or self._reading.group != group or self._reading.row > row:
                if self._reading is not None:
                    self._reading.close()
                self._reading = _Reading(group, self._column)
            first = self._reading.row
            try:
                self._pieces.append((group, first, self._reading.next()))
            except Exception as problem:
                self._failed[group] = first, failed_at == first, problem
                self._reading.close()
                self._reading = None
                raise


class _Reading:
    """A row group that is being read, piece by piece. row: the first of the next piece."""

    def __init__(self, group: tuple[Path, int], column: str) -> None:
        self.group, self.row = group, 0
        self._open = ExitStack()
        source = self._open.enter_context(readable(group[0]))
        # Without a buffer a whole group is fetched at once.
        opened = self._open.enter_context(pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20))
        whole = opened.metadata.row_group(group[1])
        rows = PIECE_BYTES * whole.num_rows // max(1, whole.total_byte_size)
        rows = max(min(LEAST_ROWS, PIECE_ROWS), min(PIECE_ROWS, rows))
        self._batches = opened.iter_batches(rows, row_groups=[group[1]], columns=[column], use_threads=False)

    def next(self) -> pa.Array:
        """The next piece."""
        values = next(self._batches).column(0)
        self.row += len(values)
        return values

    def close(self) -> None:
        self._open.close()


def _is_name(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _class_names(schema: pa.Schema, column: str) -> list[str] | None:
    """The classes' names, where the file says them as Hugging Face's library writes them."""
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])
        return [str(name) for name in told["info"]["features"][column]["names"]]
    except (KeyError, ValueError, TypeError):
        return None
