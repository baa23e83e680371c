"""Images whose files' bytes stand in a column of Parquet files, or whose paths do, as Hugging Face's sets keep them."""

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from features import files
from features.datasets import folders, images, kinds
from features.datasets.columns import column_of
from features.datasets.image_set import FileOpener, ImageSet, from_store, set_digest
from features.datasets.listing import Choice
from features.datasets.named_columns import Columns, TableColumns, telling
from features.datasets.splits import HELD_OUT
from features.datasets.tables.image_columns import content, image_column, is_text
from features.datasets.tables.row_groups import RowGroups
from features.datasets.tables.table_columns import below_common, further, labels_in, of_split_told, splits_in, unique
from features.errors import DatasetError, ImageError
from features.files import readable
from features.sources import TABLES

MAGIC = b"PAR1"
ID_COLUMNS = ("id", "image_id", "file_name", "filename", "path")
DAMAGE = (OSError, pa.ArrowException, UnicodeDecodeError)
FIRST_ROWS = 8  # by which the column of images is told


def is_table(path: Path) -> bool:
    """Whether a file is Parquet, by its ending or its first bytes."""
    return path.name.lower().endswith(TABLES) or folders.head(path).startswith(MAGIC)


def rows_of_images(root: Path, names: Sequence[str]) -> int:
    """How many images the tables at some paths below a folder hold; none if they cannot be opened."""
    try:
        return int(_Column([root.resolve() / name for name in names], str(root)).starts[-1])
    except DatasetError:
        return 0


def table_files(path: Path) -> list[Path]:
    """The Parquet files at a path: itself, or those in a folder, in the order of their names, with absolute paths."""
    path = path.resolve()
    if path.is_file():
        return [path]
    names = [
        name for name in folders.listing(path).names if name.lower().endswith(TABLES) and not kinds.is_hidden(name)
    ]
    return sorted((path / name for name in names), key=str)


def open_tables(path: Path, choice: Choice | None = None) -> ImageSet:
    """The images in a Parquet file or a folder of them, as of `open_files`."""
    path = path.resolve()
    return open_files(path, table_files(path), choice or Choice(None, HELD_OUT, str(path)))


def open_files(
    root: Path,
    tables: Sequence[Path],
    choice: Choice,
    columns: Columns = Columns(),  # noqa: B008  # frozen
) -> ImageSet:
    """The images in Parquet files below a folder, or in the one that `root` is; of these a split, if they have any.

    Their bytes are in a column of binaries, or of structures with a binary called 'bytes' and perhaps a 'path', which
    is where an image lies that has no bytes (`image_columns`). Ids come from a column of names, else they are
    FILE/ROW. Labels, and splits that files' names do not tell, come from columns (`table_columns`).
    columns: that of the labels, where it is not to be guessed.
    Raises DatasetError if there is no column of images, no such split or no such column.
    """
    column = _Column(tables, choice.where)
    label = _need(column, columns, choice.where)
    names = [file.name if file == root else file.relative_to(root).as_posix() for file in tables]
    ids, repeated = column.ids(names)

    def read(index: int) -> tuple[bytes, str]:
        return column.read(index, ids[index]), ids[index]

    marks = [f"{file.name} {folders.mark(file)}" for file in tables]
    digest = set_digest(
        [*ids, f"{column.name} {label}".strip()],
        ["", *[""] * (len(ids) - 1), " ".join(marks + column.marks_of_files())],
    )
    opened = ImageSet(root.stem, tuple(ids), None, (), digest, FileOpener(read), column.uri)
    told = labels_in(column.schema, column.whole, len(ids), column.name, label)
    notes = tuple(note for note in (column.image.note, repeated, told.note) if note)
    sizes = [(name.rpartition(".")[0], rows) for name, rows in zip(names, column.rows, strict=True)]
    names_used = [column.name, told.column, *column.id_columns()]
    cells = {name: column_of(column.whole(name)) for name in further(column.schema, names_used)}
    others = tuple(name for name in column.schema.names if name != column.name)
    table = TableColumns(others, None, (told.column,) if told.column else ())
    opened = replace(opened, notes=notes, columns=cells, table=table)
    parts = splits_in(column.schema, column.whole, sizes)
    with telling(others):
        return of_split_told(opened, parts, told, choice)


def _need(column: "_Column", columns: Columns, where: str) -> str:
    """The column of labels that somebody named, '' for none.

    Raises DatasetError if there is no such column, or the images are not those of the column that was named.
    """
    names = column.schema.names
    if columns.label and columns.label not in names:
        raise DatasetError(
            f"{where} has no column {columns.label!r}, which --label-column names. It has: {', '.join(names)}."
        )
    if columns.path and columns.path != column.name:
        raise DatasetError(
            f"The images of {where} are those of its column {column.name}, not of {columns.path!r}, which "
            "--path-column names. Write a Parquet file without the others."
        )
    return columns.label


def open_row(path: Path, row: int) -> Image.Image:
    """The image in one row of a Parquet file."""
    name = f"{path.name}/{row}"
    try:
        column = _Column([path], str(path))
        if row >= sum(column.rows):
            raise ImageError(
                f"{name} is not there: {path.name} has {sum(column.rows):,} rows. Is it the same file still?"
            )
        return images.decode(column.read(row, name), name)
    except DatasetError as error:
        raise ImageError(str(error)) from error


class _Column:
    """The column of images of several files, read one row group at a time.

    rows: of each file. starts: (groups + 1,) the first row of every row group.
    """

    def __init__(self, tables: Sequence[Path], where: str) -> None:
        self.files, self.where = tables, where
        self.groups: list[tuple[Path, int, int, int]] = []  # file, row group in it, its first row there, its bytes
        self.rows: list[int] = []
        self.schemas: list[pa.Schema] = []
        sizes: list[int] = []
        try:
            for file in tables:
                with readable(file) as source, pq.ParquetFile(source) as opened:
                    metadata = opened.metadata
                    self.schemas.append(opened.schema_arrow)
                    self.schemas[-1].names  # noqa: B018  # text that may be damaged
                groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
                rows = [group.num_rows for group in groups]
                self.groups += [
                    (file, number, sum(rows[:number]), group.total_byte_size) for number, group in enumerate(groups)
                ]
                self.rows.append(sum(rows))
                sizes += rows
            self.schema = self.schemas[0]
            self.starts = np.cumsum([0, *sizes])  # (groups + 1,)
            self.image = image_column(self.schema, self._first, where)
        except DAMAGE as error:
            raise DatasetError(f"{where} cannot be read as Parquet: {error}. Copy it again.") from error
        self.name = self.image.name
        self._need_one_kind()
        if not self.starts[-1]:
            raise DatasetError(f"{where} has no rows. Is it the right place?")
        bare = self.image.nested and not self.image.listed
        self._groups = RowGroups(f"{self.name}.bytes" if bare else self.name)
        self._named = RowGroups(f"{self.name}.path")  # read only for rows that have no bytes

    def _need_one_kind(self) -> None:
        for file, schema in zip(self.files, self.schemas, strict=True):
            if self.name not in schema.names or schema.field(self.name).type != self.schema.field(self.name).type:
                raise DatasetError(
                    f"{file} has the columns {', '.join(schema.names)}, and {self.files[0]} "
                    f"{', '.join(self.schema.names)}. Give files of one kind, by a pattern: 'data/train-*.parquet'."
                )

    def _first(self, name: str) -> list:
        """Some of the first rows of a column."""
        for file, rows, schema in zip(self.files, self.rows, self.schemas, strict=True):
            if rows and name in schema.names:
                # Without a buffer a whole group is fetched at once.
                with readable(file) as source, pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20) as opened:
                    batches = opened.iter_batches(FIRST_ROWS, columns=[name], use_threads=False)
                    return [value for batch in islice(batches, 1) for value in batch.column(0).to_pylist()]
        return []

    def read(self, index: int, name: str) -> bytes:
        """The bytes of one image. Raises ImageError if there are none."""
        group = self._group_of(index)
        file, number, _, size = self.groups[group]
        try:
            with from_store(file, name):
                row = index - int(self.starts[group])
                data, path = content(self._groups.value(file, number, size, row).as_py())
                if data is None and path is None and self.image.nested and self._has_paths():
                    _, path = content(self._named.value(file, number, 0, row).as_py())  # which are short: a whole group
        except (*DAMAGE, IndexError, StopIteration) as error:  # the last two of groups with fewer rows than they say
            raise ImageError(f"{name} cannot be read: {error}. Is its file still there?") from error
        if data is None and path is None:
            raise ImageError(f"{name} has no bytes. Write the image itself into its row.")
        return _at(file, path, name) if data is None else data

    def _group_of(self, index: int) -> int:
        return int(np.searchsorted(self.starts, index, side="right")) - 1

    def uri(self, index: int) -> str:
        group = self._group_of(index)
        file, _, first, _ = self.groups[group]
        return f"parquet://{first + index - int(self.starts[group])}::{file}"

    def ids(self, names: Sequence[str]) -> tuple[list[str], str]:
        """What to call each image, and a sentence on names that stand for several. names: of the files."""
        columns = self.id_columns()
        values_of = {
            column: below_common(self._paths()) if column == self.name else self.whole(column) for column in columns
        }
        for values in values_of.values():
            if None not in values and len(set(values)) == len(values):
                return [*map(str, values)], ""
        places = [f"{name}/{row}" for name, rows in zip(names, self.rows, strict=True) for row in range(rows)]
        repeated: tuple[list[str], str] | None = None
        for column, values in values_of.items():
            once = unique(values, places)
            if once is None or all(value is None for value in values):
                continue
            wrong = [name for name, value in zip(once, values, strict=True) if value is None or name != str(value)]
            note = (
                f"{len(wrong):,} rows have no name of their own in the column {column}; they are called as {wrong[0]}."
            )
            repeated = repeated or (once, note)
        return repeated or (places, "")

    def id_columns(self) -> list[str]:
        """The columns that may name images; last that of the images, if these have paths."""
        kinds_of = {name: self.schema.field(name).type for name in ID_COLUMNS if name in self.schema.names}
        named = [name for name, kind in kinds_of.items() if is_text(kind) or pa.types.is_integer(kind)]
        return [*named, self.name] if self._has_paths() and self.name not in named else named

    def _has_paths(self) -> bool:
        kind = self.schema.field(self.name).type
        if self.image.listed or self.image.paths or not self.image.nested:
            return self.image.paths and not self.image.listed
        number = kind.get_field_index("path")
        return number >= 0 and is_text(kind.field(number).type)

    def _paths(self) -> list:
        """Where each image lies by itself, None where nothing says it."""
        if not self._has_paths():
            return [None] * int(self.starts[-1])
        values = self.whole(f"{self.name}.path" if self.image.nested else self.name)
        return [value["path"] if isinstance(value, dict) else value for value in values]

    def marks_of_files(self) -> list[str]:
        """What changes when the images do that lie in files of their own."""
        if not self._has_paths() or not self.image.beside:
            return []
        tables = [file for file, rows in zip(self.files, self.rows, strict=True) for _ in range(rows)]
        named = [_beside(file, path) for file, path in zip(tables, self._paths(), strict=True) if path is not None]
        return [folders.mark(path) for path in named if path is not None and files.is_local(path)]

    def whole(self, name: str) -> list:
        """All values of a column; None for those of files that have no such column."""
        values: list = []
        for file, schema, rows in zip(self.files, self.schemas, self.rows, strict=True):
            if name.partition(".")[0] not in schema.names and name not in schema.names:
                values += [None] * rows
                continue
            try:
                with readable(file) as source:
                    # Not `read_table`, which for a part of a structure reads all of it, and that is the images.
                    column = pq.ParquetFile(source).read(columns=[name]).column(0).to_pylist()
            except DAMAGE as error:
                raise DatasetError(f"The column {name} of {file} cannot be read: {error}. Copy it again.") from error
            if len(column) != rows:
                raise DatasetError(f"The column {name} of {file} has {len(column):,} of {rows:,} rows. Copy it again.")
            values += column
        return values


def _at(file: Path, told: str | None, name: str) -> bytes:
    """The bytes of an image that lies beside a table, or anywhere that may be read."""
    path = _beside(file, str(told))
    if path is None:
        raise ImageError(f"{name} lies at {told}, outside the folders that may be read ({files.ROOTS}). Take it out.")
    return folders.read_file(path, name)


def _beside(file: Path, told: str) -> Path | None:
    """Where an image lies that a table names, from the table's folder on; None where nobody may read, or can."""
    try:
        path = files.path_of(told) if "://" in told else file.parent / told
        real = os.path.realpath(path) if files.is_local(path) else str(path)
    except ValueError:  # a NUL
        return None
    return path if files.may_be_read(real) else None
