"""Tells which column of a list holds the paths, which the labels and which the splits."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from features.datasets import splits
from features.datasets.boxes import are_boxes
from features.datasets.columns import text_of
from features.datasets.image_set import spelled
from features.datasets.labelling import is_yes_or_no
from features.datasets.lists.table import Table
from features.datasets.named_columns import Columns, TableColumns
from features.errors import DatasetError
from features.sources import EXTENSIONS

PATHS = (
    *("path", "file_path", "filepath", "image_path", "imagepath", "img_path", "file_name", "filename", "file", "files"),
    *("image_file", "image_file_name", "image_filename", "image_name", "imagename", "img_name", "img_file", "fname"),
    *("image", "images", "img", "image.path", "img.path", "uri", "url", "image_uri", "image_url", "img_url", "link"),
    *("src", "location", "key", "image_id", "imageid", "img_id", "id_code", "id", "name"),
)
LABELS = (
    *("label", "labels", "class", "classes", "class_name", "classname", "label_name", "class_label", "category"),
    *("categories", "category_name", "target", "targets", "tag", "tags", "y", "label_id", "class_id", "category_id"),
    *("label_idx", "class_idx", "labelid", "classid", "label_names", "species", "breed", "diagnosis", "ground_truth"),
    *("dx", "disease"),
    *("objects.categories", "objects.category", "objects.label"),  # of Hugging Face's sets for detection
)
VAGUE = ("tag", "tags", "y", "target", "targets")  # hold classes only where no other column does
SPLIT_NAMES = ("split", "splits", "subset", "set", "partition", "data_set", "dataset", "phase", "usage", "fold")
LOOKED_AT = 200  # rows


class LabelsUntold(DatasetError):
    """Several columns may hold the labels. roles: without them."""

    roles: "Roles"


@dataclass(frozen=True)
class Roles:
    """The columns of a list by what they are for.

    labels: one column, several of yes and no, or none. split: '' for none. notes: what was taken for granted.
    guessed: whether no name says that the labels are such.
    """

    path: str
    labels: tuple[str, ...] = ()
    split: str = ""
    notes: tuple[str, ...] = ()
    guessed: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, of which lists of one kind have the same."""
        return self.path, *self.labels, self.split

    def further(self, table: Table) -> dict[str, Sequence[Any]]:
        """The columns that are for nothing of it."""
        used = {self.path, *self.labels, self.split}
        return {name: cells for name, cells in table.columns.items() if name not in used}

    def told(self, table: Table) -> TableColumns:
        """The table's columns and which were taken, for those who may correct it."""
        return TableColumns(tuple(map(spelled, table.columns)), spelled(self.path), tuple(map(spelled, self.labels)))


def is_known(name: str) -> bool:
    """Whether a column is called as those of paths, labels or splits are."""
    return _plain(name) in (*PATHS, *LABELS, *SPLIT_NAMES)


def may_name_images(name: str) -> bool:
    """Whether a column is called as those that name images."""
    return _plain(name) in PATHS


def roles_of(table: Table, chosen: Columns, there: Callable[[str], bool]) -> Roles:
    """What each column is for, by names and contents. chosen: what is not to be guessed. there: whether a cell names a
    file.

    Raises DatasetError if that has no column for it, or if no column can be told to hold the paths.
    """
    path = _need(table, chosen.path, "--path-column") if chosen.path else _path_column(table, there)
    if path is None:
        raise DatasetError(
            f"Which column of {table.where} names the images cannot be told. Name it with --path-column. "
            f"It has: {table.said()}."
        )
    split = _split_column(table, path)
    if chosen.label:
        names = chosen.labels(table.columns)
        return Roles(path, tuple(_need(table, name, "--label-column") for name in names), split)
    return _with_labels(table, path, split)


def _need(table: Table, name: str, option: str) -> str:
    if name not in table.columns:
        raise DatasetError(f"{table.where} has no column {name!r}, which {option} names. It has: {table.said()}.")
    return name


def _path_column(table: Table, there: Callable[[str], bool]) -> str | None:
    """The column that names images; None where none does, or several do and none of them is called so."""
    sure = _mostly(table, _is_called_so) or _mostly(table, there)
    if len(sure) == 1:
        return sure[0]
    by_name = _by_names(sure or [name for name in table.columns if _is_text(table.columns[name])], PATHS)
    if by_name:
        return by_name[0]
    if sure or table.named:
        return None
    texts = [name for name, cells in table.columns.items() if _is_text(cells)]
    if len(table.columns) > 1:  # beside numbers
        texts = [name for name in texts if not _is_number(table.columns[name])]
    return texts[0] if len(texts) == 1 else None


def _mostly(table: Table, fits: Callable[[str], bool]) -> list[str]:
    """The columns of which at least half of the first cells fit."""
    some = {name: cells[:LOOKED_AT] for name, cells in table.columns.items()}
    return [
        name for name, cells in some.items() if 2 * sum(isinstance(c, str) and fits(c) for c in cells) >= len(cells) > 0
    ]


def _is_called_so(cell: str) -> bool:
    bare = cell.strip().split("?")[0] if "://" in cell else cell.strip()
    return bare.split("::")[0].lower().endswith(EXTENSIONS)  # 'zip://a.jpg::b.zip'


def _is_text(cells: Sequence[Any]) -> bool:
    return any(isinstance(cell, str) for cell in cells[:LOOKED_AT])


def _by_names(columns: Sequence[str], known: Sequence[str]) -> list[str]:
    """Those that are called as known, the likelier names first."""
    plain = {name: _plain(name) for name in columns}
    return sorted((name for name in columns if plain[name] in known), key=lambda name: known.index(plain[name]))


def _ending_as_labels(columns: Sequence[str]) -> list[str]:
    """The one column whose name ends as those of labels, as 'Finding Labels'; none where several do."""
    ends = [name for name in columns if re.search(r"_(?:labels?|class|classes|category|categories)$", _plain(name))]
    return ends if len(ends) == 1 else []


def _plain(name: str) -> str:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip().lstrip("#").strip())
    return re.sub(r"[\s_-]+", "_", parted).lower()


def _split_column(table: Table, path: str) -> str:
    """The column whose cells all name splits."""
    others = [name for name in table.columns if name != path]
    for name in [*_by_names(others, SPLIT_NAMES), *others]:
        words = {text_of(cell) for cell in table.columns[name] if cell not in (None, "")}
        if words and all(splits.kind_of(word) is not None for word in words):
            return name
    return ""


def _with_labels(table: Table, path: str, split: str) -> Roles:
    others = [name for name in table.columns if name not in (path, split)]
    called = _by_names(others, LABELS) or _ending_as_labels(others)
    boxes = [name for name in others if are_boxes(table.columns[name][:LOOKED_AT])]
    if len(boxes) == 1 and not called:
        return Roles(path, (boxes[0],), split)
    if called:
        texts = [name for name in called if _plain(name) not in VAGUE and not _is_number(table.columns[name])]
        return Roles(path, ((texts or called)[0],), split)
    if not table.named and len(others) > 1:
        others = [name for name in others if not _counts(table.columns[name])]
        words = [name for name in others if not _is_number(table.columns[name])]
        if len(words) == 1 and _may_be_classes(table.columns[words[0]], False):  # beside the corners of a box
            return Roles(path, (words[0],), split)
    yes_or_no = [name for name in others if is_yes_or_no(table.columns[name])]
    if len(yes_or_no) > 1:
        said = f"The labels of {table.where} are its columns of 0 and 1: {_few(yes_or_no)}."
        return Roles(path, tuple(yes_or_no), split, (said,), guessed=table.named)
    groups = [name for name in others if _may_be_classes(table.columns[name], table.named)]
    if len(groups) == 1 and (len(others) == 1 or not table.named):
        said = f"The labels of {table.where} are its column {groups[0]}."
        return Roles(path, (groups[0],), split, (said,) if table.named else (), guessed=table.named)
    if not table.named and len(groups) > 1:
        said = f"Which column of {table.where} holds the labels cannot be told. Name it with --label-column. "
        untold = LabelsUntold(f"{said}It has: {table.said()}.")
        untold.roles = Roles(path, (), split, (str(untold),))
        raise untold
    note = f"No column of {table.where} is called as labels are: {_few(others)}. --label-column names one."
    return Roles(path, (), split, (note,) if others else ())


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8:,} more" if len(names) > 8 else "")


def _is_number(cells: Sequence[Any]) -> bool:
    return all(text_of(cell).lstrip("-").isdecimal() for cell in cells[:LOOKED_AT] if cell not in (None, ""))


def _counts(cells: Sequence[Any]) -> bool:
    """Whether a column only numbers the rows."""
    texts = [text_of(cell) for cell in cells]
    return len(texts) > 1 and texts in ([*map(str, range(len(texts)))], [*map(str, range(1, len(texts) + 1))])


def _may_be_classes(cells: Sequence[Any], named: bool) -> bool:
    """Whether cells are names of which some may stand there more than once, or in a list without names numbers too."""
    texts = [text_of(cell) for cell in cells]
    if named and _is_number(cells):
        return False
    fractions = any("." in text and text.replace(".", "").lstrip("-").isdecimal() for text in texts[:LOOKED_AT])
    few = len(texts) < 20 and (not named or len(set(texts)) < max(2, len(texts)))
    return not fractions and (few or len(set(texts)) <= len(texts) // 2)
