"""Finds the columns of a table that say the labels, the split and the names of images."""

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from features.datasets import series, splits
from features.datasets.cutting import of_split, of_split_labelled
from features.datasets.image_set import ImageSet
from features.datasets.labelling import SEPARATORS, Labelling, of_cells
from features.datasets.listing import Choice
from features.datasets.splits import Splits
from features.datasets.tables.image_columns import features_of, is_text
from features.datasets.values import LABEL_NAMES, Labels, labels_of

WORDS = ("label_name", "label_text", "label_names", "class_name", "category_name", "class_label")
SPLIT_NAMES = ("split", "subset", "partition", "set")
LEAST_DISTINCT = 0.5  # of a column's values, for it to name images

Whole = Callable[[str], list]


@dataclass(frozen=True, eq=False)
class Told:
    """What a table says of the classes of its images.

    note: what is to be told of the choice of a column. column: that of the labels, '' for none. several: the labels
    instead, where images have any number of them.
    """

    labels: Labels
    note: str = ""
    column: str = ""
    several: Labelling | None = None


def labels_in(schema: pa.Schema, whole: Whole, n_rows: int, without: str, named: str = "") -> Told:
    """The labels of a table's rows.

    whole: name of a column -> all its values. without: the column of images. named: that of the labels, '' where it is
    not known.
    """
    if named:
        return told_of(whole(named), _class_names(features_of(schema).get(named)), "", named)
    columns = [name for name in _label_columns(schema) if name != without]
    if not columns:
        return Told(Labels([None] * n_rows))
    name = columns[0]
    names = _class_names(features_of(schema).get(name))
    if not names and not is_text(_plain(schema.field(name).type)):  # words are the names of what numbers stand for
        name = next((each for each in WORDS if each in schema.names and is_text(_plain(schema.field(each).type))), name)
    others = [each for each in columns if each != name and each not in WORDS]
    note = f"Labels are those of the column {name}, not of {', '.join(others)}." if others else ""
    return told_of(whole(name), names, note, name)


def told_of(values: list, names: Sequence[str], note: str, column: str) -> Told:
    """What a column of labels says. names: of the classes that numbers stand for; note, column: as of `Told`."""
    if not any(map(_is_several, set(map(_hashable, values)))):
        return Told(labels_of(values, names), note, column)
    if names:
        values = [[_named(each, names) for each in cell] if isinstance(cell, list) else cell for cell in values]
    several = of_cells(values)
    several = replace(several, classes=tuple(names)) if names and {*several.classes} <= {*names} else several
    return Told(Labels([None] * len(values)), note, column, several)


def _is_several(cell: Any) -> bool:
    """Whether a cell holds any number of labels: a list, or words with a sign between them."""
    return (isinstance(cell, tuple) and len(cell) != 1) or (
        isinstance(cell, str) and any(s in cell for s in SEPARATORS)
    )


def _hashable(cell: Any) -> Any:
    return tuple(map(str, cell)) if isinstance(cell, list) else cell


def _named(cell: Any, names: Sequence[str]) -> Any:
    return names[cell] if isinstance(cell, int) and 0 <= cell < len(names) else cell


def of_split_told(images: ImageSet, parts: Splits | None, told: Told, choice: Choice) -> ImageSet:
    """The images of a split with their labels, one each or several. Raises DatasetError as `cutting.of_split`."""
    if told.several is not None:
        return of_split_labelled(images, parts, told.several, choice)
    return of_split(images, parts, told.labels, choice)


def further(schema: pa.Schema, used: Sequence[str]) -> list[str]:
    """The columns that say something else of each image, in one word or number. used: those that are known."""
    without = {*used, *SPLIT_NAMES}
    return [field.name for field in schema if field.name not in without and _is_one_value(field.type)]


def _is_one_value(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _label_columns(schema: pa.Schema) -> list[str]:
    """The columns that may say labels, the likeliest first: those that Hugging Face's library calls classes."""
    fields = {field.name.lower(): field for field in schema if _says_classes(field.type)}
    classes = {name.lower() for name, feature in features_of(schema).items() if _class_names(feature)}
    known = [name for name in LABEL_NAMES if name in fields]
    ordered = [*(name for name in known if name in classes), *(name for name in fields if name in classes), *known]
    return [fields[name].name for name in dict.fromkeys(ordered)]


def _says_classes(kind: pa.DataType) -> bool:
    kind = _plain(kind)
    return is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of what a dictionary or a list holds."""
    while pa.types.is_dictionary(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return kind


def _class_names(feature: Any) -> list[str]:
    """The classes' names, where the file says them as Hugging Face's library writes them."""
    if isinstance(feature, dict) and isinstance(feature.get("names"), list):
        return [str(name) for name in feature["names"]]
    inner = feature.get("feature") if isinstance(feature, dict) else None
    return _class_names(inner) if inner is not None else []


def splits_in(schema: pa.Schema, whole: Whole, files: Sequence[tuple[str, int]]) -> Splits | None:
    """Which row belongs to which split: by a column that says so, else by the names of files and their folders.

    files: the path of each, without its ending, and how many rows it has.
    """
    for name in SPLIT_NAMES:
        if name in schema.names and is_text(_plain(schema.field(name).type)):
            values = whole(name)
            kinds = {value: None if value is None else splits.kind_of(value) for value in set(values)}
            if None not in kinds.values():
                return Splits(values)
    paths = series.bare([path for path, _ in files])
    parts = splits.by_folder([tuple(path.split("/")) for path in paths])
    if parts is None:
        return None
    return Splits([name for name, (_, rows) in zip(parts.of, files, strict=True) for _ in range(rows)])


def below_common(paths: Sequence[str | None]) -> Sequence[str | None]:
    """Paths from the folder on that all have in common, if all are absolute: where it lies is no part of a name."""
    named = [path for path in paths if path is not None]
    if not named or not all(path.startswith("/") for path in named):
        return paths
    above = len(posixpath.commonpath([*{posixpath.dirname(path) for path in named}]).rstrip("/")) + 1
    return [None if path is None else path[above:] for path in paths]


def unique(names: Sequence[object], places: Sequence[str]) -> list[str] | None:
    """Names of rows, each made its own: one that is repeated gets a number, one that is missing its place.

    None if so few differ that they name nothing, as 'image.jpg' in every row.
    """
    if len(set(names)) < LEAST_DISTINCT * len(names):
        return None
    wanted = {str(name) for name in names if name is not None}
    numbers: dict[str, int] = {}
    made: dict[str, None] = {}
    for value, place in zip(names, places, strict=True):
        name = new = place if value is None else str(value)
        while new in made or (new != name and new in wanted):
            numbers[name] = numbers.get(name, 1) + 1
            new = f"{name}#{numbers[name]}"
        made[new] = None
    return [*made]
