"""Features that other programs made: a Parquet file, or a folder of them, with a column of vectors."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features import files
from features.datasets.lists.roles import LABELS, PATHS
from features.results import Provenance
from features.store.feature_set import FeatureSet
from features.store.manifest import StoreError

ENDING = ".parquet"


def holds_vectors(path: Path) -> bool:
    """Whether a path is a Parquet file, or a folder of them, with at least one column of vectors."""
    try:
        return any(_vector_columns(pq.read_schema(part)) for part in _parts(path)[:1])
    except (OSError, pa.ArrowException):
        return False


def open_vectors(path: Path, column: str = "") -> FeatureSet:
    """The features (N, D) of every column of vectors, each as a stage of its column's name.

    Such a column holds lists of numbers, all of one length, as timm's, DINO's or CLIP's are commonly kept. Ids and
    labels are the first columns that are called as those of lists of images are ('path', 'file_name'; 'label', 'class',
    and so on); without an id a row has its number. column: the only one to read, '' for all.
    Raises StoreError if there is no such column, or vectors are missing, of several lengths, or no numbers.
    """
    parts = _parts(path)
    if not parts:
        raise StoreError(
            f"{path} holds no features: neither what `python -m features extract` wrote, nor Parquet files with a "
            "column of vectors. Name one of the two."
        )
    try:
        tables = [pq.read_table(part) for part in parts]
        table = pa.concat_tables(tables, promote_options="default")
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read: {error}. Name a Parquet file with a column of vectors.") from error
    names = _vector_columns(table.schema)
    if not names or (column and column not in names):
        raise StoreError(
            f"{path} has no column {column!r} of vectors; it has {', '.join(names or table.column_names)}."
            if column
            else f"{path} has no column of vectors, only {', '.join(table.column_names)}. Wanted lists of numbers."
        )
    stages = {name: _vectors(table[name], name, path) for name in ([column] if column else names)}
    ids = _texts(table, PATHS) or tuple(str(row) for row in range(len(table)))
    labels, class_names = _labels(table)
    return FeatureSet(
        stages=stages,
        rows=np.arange(len(table)),
        ids=ids,
        uris=tuple(_uri(name, path) for name in ids),
        labels=labels,
        class_names=class_names,
        predictions=None,
        rejected=(),
        provenance=Provenance(images=path.name, images_digest=_digest(parts)),
    )


def _parts(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(part for part in files.entries(path) if part.name.endswith(ENDING) and part.is_file())
    return [path] if path.is_file() and path.name.endswith(ENDING) else []


def _vector_columns(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if _is_vector(field.type)]


def _is_vector(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return lists and pa.types.is_floating(kind.value_type)


def _vectors(column: pa.ChunkedArray, name: str, path: Path) -> np.ndarray:
    """A column as (N, D) float32."""
    lists = column.combine_chunks()
    if lists.null_count:
        raise StoreError(f"{path}: {lists.null_count:,} rows have no {name}. Leave them out, and try again.")
    lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(lengths) > 1:
        raise StoreError(f"{path}: {name} has vectors of {min(lengths)} to {max(lengths)} numbers. Wanted one length.")
    values = lists.flatten()
    if values.null_count:
        raise StoreError(f"{path}: {values.null_count:,} numbers of {name} are missing. Leave these rows out.")
    numbers = values.cast(pa.float32()).to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(numbers.reshape(len(lists), -1)) if len(lists) else np.empty((0, 0), np.float32)


def _texts(table: pa.Table, known: tuple[str, ...]) -> tuple[str, ...] | None:
    """The first column of text or whole numbers that has a known name, as text."""
    by_name = {name.lower(): name for name in table.column_names}
    for name in known:
        kind = table.schema.field(by_name[name]).type if name in by_name else None
        if kind is not None and (kind in (pa.string(), pa.large_string()) or pa.types.is_integer(kind)):
            return tuple("" if value is None else str(value) for value in table[by_name[name]].to_pylist())
    return None


def _labels(table: pa.Table) -> tuple[np.ndarray | None, tuple[str, ...]]:
    texts = _texts(table, LABELS)
    if texts is None or "" in texts:  # a row without a label is none of any class
        return None, ()
    names, indices = np.unique(np.array(texts, dtype=object).astype(str), return_inverse=True)
    if all(name.isdecimal() for name in names):  # 10 comes after 9
        order = np.argsort([int(name) for name in names], kind="stable")
        names, indices = names[order], np.argsort(order)[indices]
    return indices.astype(np.int64), tuple(names.tolist())


def _uri(name: str, path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    return name if "://" in name else str(folder / name)


def _digest(parts: list[Path]) -> str:
    told: Mapping[str, str] = {part.name: files.digest_of(part) for part in parts}
    return hashlib.sha256(repr(sorted(told.items())).encode()).hexdigest()
