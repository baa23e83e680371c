"""Finds the column of a table that holds images, in the forms that Hugging Face's library and others write."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from features.datasets import kinds, planes
from features.errors import DatasetError
from features.sources import EXTENSIONS

NAMES = (
    *("image", "img", "images", "imgs", "picture", "photo", "pixels", "jpg", "jpeg", "png", "webp", "tif", "tiff"),
    *("image_bytes", "img_bytes", "image_data", "image_file", "bytes", "content", "data", "binary"),
)
PATH_NAMES = (*NAMES, "path", "file", "file_name", "filename", "filepath", "file_path", "image_path", "img_path", "uri")
OTHERS = re.compile(r"mask|annot|depth|seg|label|thumb|edge|normal|flow|heat|condition|alpha|hash|md5|sha|embed|vector")
A_HASH = 64  # bytes that a value has at most which is none of an image


@dataclass(frozen=True)
class ImageColumn:
    """A column of images. note: what is to be told of the choice, '' if there was none.

    nested: whether a row, or each of its list, has 'bytes' and perhaps a 'path'. paths: whether nothing but paths stand
    in it. listed: whether rows are lists. beside: whether some of the first rows have a path and no bytes.
    """

    name: str
    nested: bool
    paths: bool
    listed: bool
    beside: bool = False
    note: str = ""


def image_column(schema: pa.Schema, first: Callable[[str], list], where: str) -> ImageColumn:
    """The column of images. first: name of a column -> some of its first rows. Raises DatasetError if there is none.

    Columns whose first rows begin as images do come first, then what Hugging Face's library calls images, then
    those that are not called as masks are, then names such as 'image'.
    """
    told = [name for name, feature in features_of(schema).items() if _is_image(feature)]
    candidates = [column for field in schema if (column := _column(field)) is not None]
    seen = {column.name: [content(value) for value in first(column.name)] for column in candidates}
    showing = [column for column in candidates if any(map(_shows, seen[column.name]))]

    def order(column: ImageColumn) -> tuple:
        name = column.name.lower()
        rank = NAMES.index(name) if name in NAMES else len(NAMES)
        return column not in showing, column.paths, column.name not in told, bool(OTHERS.search(name)), rank

    candidates = [
        column
        for column in sorted(candidates, key=order)
        if column in showing or (not column.paths and _may_be(column.name, seen[column.name], told))
    ]
    if not candidates:
        raise DatasetError(
            f"{where} has no column of image bytes, only {', '.join(schema.names)}. Give Parquet files with a "
            "binary column, or with structures that have a binary called 'bytes'."
        )
    best = candidates[0]
    others = [column.name for column in showing if column.name != best.name and not column.paths]
    notes = []
    if others and not best.paths:
        notes.append(f"{where} has several columns of images. Taken: {best.name}; not {', '.join(others)}.")
    if best.listed:
        notes.append(f"{where} has lists of images in its rows ({best.name}). The first of each row is taken.")
    beside = any(data is None and path is not None for data, path in seen[best.name])
    return ImageColumn(best.name, best.nested, best.paths, best.listed, beside, " ".join(notes))


def content(value: Any) -> tuple[bytes | None, str | None]:
    """The bytes of the image in a row, and its path, each None where there is none."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        return value.get("bytes"), value.get("path")
    return (None, value) if isinstance(value, str) else (value, None)


def features_of(schema: pa.Schema) -> dict[str, Any]:
    """What Hugging Face's library says of the columns of a file that it wrote."""
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return told if isinstance(told, dict) else {}


def is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _column(field: pa.Field) -> ImageColumn | None:
    """A column that may hold images, None for one of another type. Fixed-size binaries are hashes, and may not."""
    kind, listed = field.type, False
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind, listed = kind.value_type, True
    if pa.types.is_struct(kind):
        number = kind.get_field_index("bytes")
        nested = number >= 0 and _is_binary(kind.field(number).type)
        return ImageColumn(field.name, True, False, listed) if nested else None
    if _is_binary(kind):
        return ImageColumn(field.name, False, False, listed)
    is_path = is_text(kind) and field.name.lower() in PATH_NAMES
    return ImageColumn(field.name, False, True, listed) if is_path else None


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _is_image(feature: Any) -> bool:
    """Whether a feature of Hugging Face's is an image, or a list of images."""
    if isinstance(feature, list):
        return any(map(_is_image, feature))
    return isinstance(feature, dict) and (feature.get("_type") == "Image" or _is_image(feature.get("feature")))


def _shows(row: tuple[bytes | None, str | None]) -> bool:
    data, path = row
    if data is not None:
        return kinds.begins_image(data[: kinds.HEAD]) or planes.is_array(data)
    return path is not None and path.lower().endswith(EXTENSIONS)


def _may_be(name: str, rows: Sequence[tuple[bytes | None, str | None]], told: Sequence[str]) -> bool:
    """Whether a column may hold images though its first rows begin as none: damaged ones, or none at all."""
    sizes = [len(data) for data, _ in rows if data is not None]
    return name in told or name.lower() in NAMES or not sizes or max(sizes) > A_HASH
