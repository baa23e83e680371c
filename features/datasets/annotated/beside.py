"""Tables of labels that lie beside a source's images: labels.csv, or metadata.csv of Hugging Face's imagefolder."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from features.datasets import classes, kinds, series, splits
from features.datasets.annotated.annotations import Annotations, Names
from features.datasets.boxes import are_boxes, boxes_in
from features.datasets.image_set import spelled
from features.datasets.labelling import further, of_cells, of_columns
from features.datasets.lists import parquet_lists, text
from features.datasets.lists.roles import LabelsUntold, Roles, roles_of
from features.datasets.lists.table import Table, plain
from features.datasets.named_columns import Columns
from features.errors import DatasetError, ImageError
from features.sources import CSV, JSON, LISTS, TABLES, TSV

if TYPE_CHECKING:
    from features.datasets.listing import Listing

NAMED_FOR_IT = (*CSV, *TSV, *TABLES)  # other text is mostly no table at all
METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet")
MOST_TABLES = 40  # files that are opened to see whether they are such tables
MOST_JSON = 64 << 20  # bytes of a file that may be a table
LEAST_SHARE = 0.5  # of a table's rows that name images, and of the images that are named
NO_LABELS = re.compile(r"submission|requirements|readme|licen[cs]e|classes|class_names|labels_map|categories", re.I)


@dataclass(frozen=True, eq=False)
class _Beside:
    """A table and the images that it names. rows: (R,) of the table; images: (R,) their numbers. lost: rows without.
    again: rows of images that an earlier one names.
    """

    folder: str
    name: str
    table: Table
    roles: Roles
    rows: Sequence[int]
    images: Sequence[int]
    lost: int
    again: int

    @property
    def stem(self) -> str:
        """What it is called, without what only numbers tables."""
        return series.bare([PurePosixPath(self.name).stem])[0]

    @property
    def number(self) -> str:
        """That its name has behind its split: '1' of 'train1.txt'."""
        return "".join(re.findall(r"\d+", self.stem))

    @property
    def split(self) -> str:
        """The split that it is called after, where it is called so."""
        return self.stem if splits.kind_of(self.stem) is not None else splits.word_in(self.stem)[0]

    @property
    def path(self) -> str:
        """Inside the source."""
        return f"{self.folder}/{self.name}" if self.folder else self.name


def of_tables(
    listing: "Listing",
    ids: Sequence[str],
    columns: Columns,
    failed: list[str],
    in_folders: Callable[[], bool] = lambda: False,
) -> Annotations | None:
    """What tables beside the images say of them; None where none names at least half of them.

    listing: the files; ids: of the images among them. columns: those that are not to be guessed. failed: gets a
    sentence for each table that cannot be read, or names too few. in_folders: whether the images lie in folders of
    classes, which count for more than a column that is not called as labels are.
    Of several tables that with the most images is taken, with others of the same name in other folders.
    """
    candidates = _candidates(listing, ids)
    if not candidates:
        return None
    names = Names(ids)
    opened = (_opened(listing, number, names, columns, failed) for number in candidates)
    tables = [each for each in opened if each is not None]
    if not tables:
        return None
    if any(each.roles.guessed for each in tables) and in_folders():
        tables = [replace(each, roles=_unlabelled(each)) if each.roles.guessed else each for each in tables]
    groups = [_group(each, tables) for each in tables]
    usable = [group for group in groups if _is_enough(ids, _rows(group))]
    chosen = max(usable or groups, key=_worth)
    named = _rows(chosen)
    if not usable:
        if chosen[0].roles.labels:
            where = ", ".join(each.path for each in chosen[:4])
            failed.append(f"{where} names {len(named):,} of {len(ids):,} images, too few of them, and is not used.")
        return None
    others = [
        each.path
        for each, group in zip(tables, groups, strict=True)
        if each not in chosen and each.roles.labels and len(_rows(group)) >= len(named)
    ]
    return _joined(ids, chosen, others)


def _group(first: _Beside, tables: Sequence[_Beside]) -> list[_Beside]:
    """A table and those that go on with it: of its name in other folders, or of other splits."""
    alike = [each for each in tables if each.roles.columns == first.roles.columns]
    group = [
        first,
        *(each for each in alike if each is not first and (each.name == first.name or _are_splits(each, first))),
    ]
    if sum(len(each.images) for each in group) > len(_rows(group)):  # of several ways to split the same images one
        group = [each for each in group if each.name == first.name or each.number == first.number]
        group = [each for each in group if each is first or not _is_union(each, group)]
    return sorted(group, key=tables.index)


def _is_union(table: _Beside, group: Sequence[_Beside]) -> bool:
    """Whether a table lists the training and the validation images that others list apart: 'trainval.txt'."""
    others = _rows([each for each in group if each is not table])
    return splits.UNION in table.stem.lower() and others.issuperset(table.images)


def _rows(tables: Sequence[_Beside]) -> set[int]:
    return {row for each in tables for row in each.images}


def _unlabelled(each: _Beside) -> Roles:
    """The roles of a table's columns without those that were taken for labels."""
    columns = ", ".join(each.roles.labels[:4])
    note = f"The labels are the folders' names; --label-column takes a column of {each.path} instead ({columns})."
    return replace(each.roles, labels=(), notes=(note,), guessed=False)


def _are_splits(one: _Beside, other: _Beside) -> bool:
    """Whether two tables are called alike but for the split, as train.txt and val.txt, x_train.csv and x_test.csv."""
    (first, rest), (second, same) = (splits.word_in(each.stem) for each in (one, other))
    return bool(first and second) and rest == same


def _worth(tables: Sequence[_Beside]) -> tuple[bool, int, int]:
    """Labels count for more than many images, and these for more than a place near the top."""
    return bool(tables[0].roles.labels), len(_rows(tables)), -len(tables[0].folder)


def _is_enough(ids: Sequence[str], named: set[int]) -> bool:
    """Whether so many of the images are named that a table is one of them, and not of a few."""
    return len(named) >= LEAST_SHARE * len(ids) or _is_whole_folder(ids, named)


def _is_whole_folder(ids: Sequence[str], named: set[int]) -> bool:
    """Whether the images that are named are all that lie below some folder, as those of one split."""
    tops = {ids[row].split("/")[0] for row in named}
    return all("/" in ids[row] for row in named) and all(
        row in named for row, name in enumerate(ids) if name.split("/")[0] in tops
    )


def _candidates(listing: "Listing", ids: Sequence[str]) -> list[int]:
    """Files that may be such tables: those at the top, and in other folders those that are called so."""
    numbers = []
    endings = (*LISTS, *TABLES)
    deepest = 2 + classes.common_depth(ids)  # an archive's files mostly lie in one folder
    for number, name in enumerate(listing.names):
        if not name.lower().endswith(endings):  # before a path is made of each of a million
            continue
        last = name.rpartition("/")[2]
        if last.lower() not in METADATA and name.count("/") >= deepest:
            continue
        if not kinds.is_hidden(name) and not NO_LABELS.search(PurePosixPath(last).stem):
            numbers.append(number)

    def key(number: int) -> tuple[bool, int]:
        name = listing.names[number]
        return name.lower().endswith(JSON), name.count("/")  # JSON last: there may be a file of settings an image

    return sorted(numbers, key=key)[:MOST_TABLES]


def _opened(listing: "Listing", number: int, names: Names, columns: Columns, failed: list[str]) -> _Beside | None:
    """A file as such a table; None where it is none."""
    path = PurePosixPath(listing.names[number])
    folder = "" if path.parent == PurePosixPath() else str(path.parent)
    folders = [folder, *(str(path.parent / path.stem) + end for end in ("", "_images", "/images"))]
    kind = splits.kind_of(splits.word_in(path.stem)[0])
    if kind is not None:  # 'Training_set.csv' is about 'train'
        folders += [each for each in names.folders_in(folder) if splits.kind_of(each.rpartition("/")[2]) == kind]

    def there(cell: str) -> bool:
        return names.row(spelled(plain(cell)), *folders) is not None

    try:
        table = _table(listing, number, there)
    except (DatasetError, ImageError) as error:
        if path.name.lower().endswith(NAMED_FOR_IT):
            failed.append(f"{path} beside the images is not used: {error}")
        return None
    if table is None:
        return None
    try:
        roles = roles_of(table, columns, there)
    except LabelsUntold as error:
        roles = error.roles
    except DatasetError:  # a table of something else
        return None
    cells = [spelled(plain(str(cell))) for cell in table.columns[roles.path]]
    rows, images, seen, lost, again = [], [], set[int](), 0, 0
    for row, cell in enumerate(cells):
        image = names.row(cell, *folders)
        if image is None:
            lost += 1
        elif image in seen:
            again += 1
        else:
            seen.add(image)
            rows.append(row)
            images.append(image)
    says = roles.labels or roles.split or splits.kind_of(path.stem) is not None
    if path.suffix.lower() not in JSON:  # which is mostly of other things, though it may list files too
        says = says or roles.notes or table.named
    if not rows or lost > (1 - LEAST_SHARE) * len(cells) or not says:
        return None
    return _Beside(folder, path.name, table, roles, rows, images, lost, again)


def _table(listing: "Listing", number: int, there: Callable[[str], bool]) -> Table | None:
    """A file of a source as a table; None for Parquet of images or features, and for very large JSON.

    Raises ImageError or DatasetError.

    On this machine it may be larger than an image, and of Parquet only what is needed is read.
    """
    name = listing.names[number]
    place = Path(listing.locate(number))
    is_here = "://" not in str(listing.locate(number)) and place.is_file()
    if name.lower().endswith(TABLES):
        return parquet_lists.table_in(place if is_here else io.BytesIO(listing.read(number)[0]), name)
    try:
        if name.lower().endswith(JSON) and is_here and place.stat().st_size > MOST_JSON:
            return None
        data = place.read_bytes() if is_here else listing.read(number)[0]
    except OSError as error:
        raise DatasetError(f"{place} cannot be read: {error.strerror}. Allow it.") from error
    return text.table_of(data, name, PurePosixPath(name).suffix.lower(), there)


def _joined(ids: Sequence[str], tables: Sequence[_Beside], others: Sequence[str]) -> Annotations:
    """What some tables of one kind say together. others: tables of as many images, which are not used."""
    roles = tables[0].roles
    entries: dict[int, tuple[_Beside, int]] = {}
    for each in tables:
        for row, image in zip(each.rows, each.images, strict=True):
            entries.setdefault(image, (each, row))
    images = sorted(entries)

    def column(name: str) -> list[Any]:
        labels_of = ((table.table.columns.get(name), row) for table, row in (entries[image] for image in images))
        return [None if cells is None else cells[row] for cells, row in labels_of]

    where = ", ".join(each.path for each in tables[:4])
    unused = (f"Not used, though of these images too: {', '.join(others[:4])}.",) if others else ()
    labelling = None
    if roles.labels:
        labels = {name: [spelled(c) if isinstance(c, str) else c for c in column(name)] for name in roles.labels}
        labelling = of_columns(labels) if len(labels) > 1 else of_cells(labels[roles.labels[0]])
    boxes = None
    if labelling is not None and len(roles.labels) == 1 and are_boxes(labels[roles.labels[0]]):
        boxes = boxes_in(labels[roles.labels[0]], labelling.classes)
    told: list[str | None] | None = None
    if roles.split:
        told = [spelled(str(cell)) if cell not in (None, "") else None for cell in column(roles.split)]
    elif len({each.name for each in tables}) > 1:
        told = [entries[image][0].split for image in images]
    return Annotations(
        images,
        labelling,
        where,
        told,
        further({spelled(name): column(name) for each in tables for name in each.roles.further(each.table)}),
        boxes,
        notes=(*_notes(where, len(images), len(ids), tables), *roles.notes, *unused),
        files=tuple(each.path for each in tables),
        table=roles.told(tables[0].table),
    )


def _notes(where: str, n_named: int, n_images: int, tables: Sequence[_Beside]) -> list[str]:
    roles, lost, again = tables[0].roles, sum(each.lost for each in tables), sum(each.again for each in tables)
    what = "labels" if roles.labels else "splits or further columns"
    labels = f" (column {', '.join(roles.labels[:4])})" if roles.labels else ""
    notes = [f"The {what} of {n_named:,} of {n_images:,} images come from {where}{labels}."]
    if lost:
        notes.append(f"{lost:,} row{'s' if lost > 1 else ''} of {where} name{'' if lost > 1 else 's'} no image here.")
    if again:
        notes.append(
            f"{again:,} further row{'s' if again > 1 else ''} of {where} on images that it names before: not used."
        )
    return notes
