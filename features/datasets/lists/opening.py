"""Images that a list names: text, CSV, JSON Lines or Parquet, with labels, splits and further columns."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from features import files
from features.datasets import splits
from features.datasets.boxes import are_boxes, boxes_in
from features.datasets.class_folders import by_folder, cut
from features.datasets.cutting import of_split_labelled
from features.datasets.folders import OUTSIDE, read_file
from features.datasets.image_set import Boxes, FileOpener, ImageSet, set_digest, spelled
from features.datasets.kinds import Aside
from features.datasets.labelling import Labelling, further, of_cells, of_columns
from features.datasets.listing import Choice
from features.datasets.lists import parquet_lists, text
from features.datasets.lists.places import MISSING, Place, Places, allowed, marked, need_files
from features.datasets.lists.roles import Roles, roles_of
from features.datasets.lists.table import Table, plain
from features.datasets.named_columns import Columns, telling
from features.datasets.splits import Splits
from features.datasets.tables.table_columns import splits_in
from features.errors import DatasetError
from features.sources import LISTS

SUFFIXES = LISTS
PARQUET = ".parquet"
OF_FILE = "split of the file"
MOST_WATCHED = 256 << 20  # bytes of a list whose images are looked at to see whether they have changed


@dataclass(frozen=True, eq=False)
class _Named:
    """A list with the files that it names. cells: (N,) as they stand there. places: (N,) where they lie.

    asked: the columns that were not to be guessed.
    """

    table: Table
    asked: Columns
    roles: Roles
    cells: Sequence[str]
    places: Sequence[Place]
    notes: tuple[str, ...]


def is_list(path: Path) -> bool:
    """Whether a file is called as lists are that are text."""
    return path.suffix.lower() in SUFFIXES


def open_list(
    path: Path,
    split: str | None = None,
    order: Sequence[str] = splits.HELD_OUT,
    columns: Columns = Columns(),  # noqa: B008  # frozen
) -> ImageSet:
    """The images whose paths stand in a list, from the list's folder on.

    A list that is text may say a label behind each path, or name columns as CSV and JSON Lines do. A path that stands
    there twice is two images; one whose file is missing is an image that cannot be read.
    split, order: as of `splits.chosen`, where a column tells splits. columns: those that are not to be guessed.
    Raises DatasetError if the list names no images, or names folders.
    """
    named = _of_text(path, columns)
    with telling([*named.table.columns]):
        return _opened(named, path, split, order)


def open_tables(
    path: Path,
    tables: Sequence[Path],
    split: str | None = None,
    order: Sequence[str] = splits.HELD_OUT,
    columns: Columns = Columns(),  # noqa: B008  # frozen
) -> ImageSet:
    """As `open_list`, of Parquet files without image bytes; they are one list, in the folder of the first.

    Where no column tells splits, the files' names do: 'test.parquet'.
    """
    named = _of_parquet(path, tables, columns)
    if not named.roles.split and len(tables) > 1 and (parts := _by_files(path, tables)) is not None:
        table = replace(named.table, columns={**named.table.columns, OF_FILE: parts.of})
        named = replace(named, table=table, roles=replace(named.roles, split=OF_FILE))
    with telling([*named.table.columns]):
        return _opened(named, path, split, order)


def _by_files(path: Path, tables: Sequence[Path]) -> Splits | None:
    names = [
        file.relative_to(path).with_suffix("").as_posix() if path in file.parents else file.stem for file in tables
    ]
    return splits_in(pa.schema([]), lambda name: [], [*zip(names, parquet_lists.sizes(tables), strict=True)])


def names_files(path: Path, columns: Columns) -> bool:
    """Whether any of the files that a list names is there, or may be, as one at an address."""
    try:
        return any(place.mark != MISSING for place in _of_text(path, columns).places)
    except DatasetError:
        return False


def listed(path: Path) -> list[Place]:
    """The files that a list names on this machine; none where a file cannot be read as one, or is very large."""
    try:
        if path.stat().st_size > MOST_WATCHED:
            return []
        if is_list(path):
            named = _of_text(path, Columns())
        elif path.suffix == PARQUET and parquet_lists.is_list([path]):
            named = _of_parquet(path, [path], Columns())
        else:
            return []
        return [place for place in named.places if place.is_here]
    except (DatasetError, OSError):
        return []


def _of_text(path: Path, columns: Columns) -> _Named:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}. Allow it.") from error
    places = Places(str(_folder(path)), path.stem)
    return _named(text.table_of(data, str(path), path.suffix.lower(), places.there), places, columns)


def _of_parquet(path: Path, tables: Sequence[Path], columns: Columns) -> _Named:
    return _named(parquet_lists.table_of(tables, str(path)), Places(str(_folder(tables[0])), path.stem), columns)


def _folder(path: Path) -> Path:
    return path.resolve().parent


def _named(table: Table, places: Places, columns: Columns) -> _Named:
    with telling([*table.columns]):
        roles = roles_of(table, columns, places.there)
        cells = [_path_in(cell, row, table, roles.path) for row, cell in enumerate(table.columns[roles.path], start=1)]
        places.learn(cells)
        paths = [places.of(cell) for cell in cells]
        need_files(paths, cells, table.where)
    notes = (f"{table.where} names images {places.spelling}.",) if str(places.spelling) else ()
    return _Named(table, columns, roles, cells, paths, (*roles.notes, *notes))


def _path_in(cell: Any, row: int, table: Table, column: str) -> str:
    if isinstance(cell, str) and cell.strip():
        return cell
    if isinstance(cell, int) and not isinstance(cell, bool):  # an id, whose file has an ending behind it
        return str(cell)
    raise DatasetError(
        f"Row {row:,} of {table.where} names no image in its column {column}. Fill it in, or take the row out."
    )


def _opened(named: _Named, path: Path, split: str | None, order: Sequence[str]) -> ImageSet:
    table, roles = named.table, named.roles
    names = [spelled(plain(cell) or cell) for cell in named.cells]
    labelling, by_folders = _labelling(table, roles), list[str]()
    if labelling is None and not roles.further(table) and (labelling := _of_folders(names)) is not None:
        by_folders.append(f"{table.where} names paths alone; the labels are the names of the folders in these.")
    ids, repeated = _different(names)
    values = {spelled(name): cells for name, cells in further(roles.further(table)).items()}
    places = [place.path for place in named.places]

    def read(row: int) -> tuple[bytes, str]:
        return read_file(named.places[row].file, ids[row]), ids[row]

    def file(row: int) -> tuple[str, str]:
        return str(named.places[row].file.absolute()), ids[row]

    images = ImageSet(
        path.stem,
        tuple(ids),
        None,
        (),
        _digest(ids, marked(named.places), table, named.asked),
        FileOpener(read, file if all(place.is_here for place in named.places) else None),
        lambda row: spelled(places[row]),
        columns=values,
        notes=(*named.notes, *by_folders, *repeated),
        table=roles.told(table),
        boxes=_boxes(table, roles, labelling) if labelling is not None and roles.labels else None,
    )
    may_be_read = allowed(str(_folder(path)))
    outside = [row for row, place in enumerate(places) if not may_be_read(place)]
    if outside:
        images, labelling, table = _without(images, labelling, table, outside)
    cells = table.columns[roles.split] if roles.split else None
    parts = None if cells is None else Splits([str(c).strip() if c not in (None, "") else None for c in cells])
    return of_split_labelled(images, parts, labelling, Choice(split, order, str(path)))


def _labelling(table: Table, roles: Roles) -> Labelling | None:
    if not roles.labels:
        return None
    if len(roles.labels) > 1:
        return of_columns({spelled(name): table.columns[name] for name in roles.labels})
    cells = table.columns[roles.labels[0]]
    return of_cells([spelled(cell) if isinstance(cell, str) else cell for cell in cells])


def _of_folders(paths: Sequence[str]) -> Labelling | None:
    """Labels by the folders that stand in paths, as those of the folder that they were listed in; None for none.

    The folders of addresses of the web are no classes.
    """
    if any(path.startswith(("http://", "https://")) for path in paths):
        return None
    labels = by_folder(*cut(paths))
    known = [(name,) for name in labels.names if name is not None]
    return Labelling(known, tuple(labels.every)) if len(known) == len(paths) else None


def _boxes(table: Table, roles: Roles, labelling: Labelling) -> Boxes | None:
    """Where the labels are, if their column says it."""
    cells = table.columns[roles.labels[0]]
    return boxes_in(cells, labelling.classes) if are_boxes(cells) else None


def _different(names: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The same names, with a number behind each that stood there before, and that as a sentence."""
    counts = Counter(names)
    if len(counts) == len(names):
        return [*names], ()
    seen: Counter[str] = Counter()
    ids: list[str] = []
    for name in names:
        seen[name] += 1
        new = name if seen[name] == 1 else f"{name} ({seen[name]})"
        while seen[name] > 1 and new in counts:
            seen[name] += 1
            new = f"{name} ({seen[name]})"
        ids.append(new)
    twice = [name for name, count in counts.items() if count > 1]
    note = (
        f"{len(twice):,} image{'s are' if len(twice) > 1 else ' is'} named more than once ({twice[0]}). Each time is "
        f"an image of its own, called {twice[0]} (2) and so on."
    )
    return ids, (note,)


def _digest(ids: Sequence[str], marks: Sequence[str], table: Table, asked: Columns) -> str:
    """Other labels and columns are another set, and so are other choices of what is a label."""
    told = hashlib.sha256()
    if asked != Columns():
        told.update(f"{asked}\n".encode("utf-8", "surrogateescape"))
    for name, cells in table.columns.items():
        told.update(f"{name}\0{len(cells)}\n".encode("utf-8", "surrogateescape"))
        for cell in cells:
            told.update(f"{cell}\n".encode("utf-8", "surrogateescape"))
    return set_digest([*ids, told.hexdigest()], [*marks, ""])


def _without(
    images: ImageSet, labelling: Labelling | None, table: Table, outside: Sequence[int]
) -> tuple[ImageSet, Labelling | None, Table]:
    """A list without the files that may not be read, which are told. Raises DatasetError if none is left."""
    left = sorted(set(range(len(images))).difference(outside))
    aside = Aside(OUTSIDE.replace("links that lead", "named, but"), tuple(images.ids[row] for row in outside))
    if not left:
        raise DatasetError(
            f"All images that {table.where} names lie out of the folders that may be read. Set {files.ROOTS} to allow "
            "others."
        )
    columns = {name: [cells[row] for row in left] for name, cells in table.columns.items()}
    return (
        replace(images.take(left), aside=(aside,)),
        None if labelling is None else labelling.take(left),
        replace(table, columns=columns),
    )
