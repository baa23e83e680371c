"""Features that other programs made: a Parquet file, or a folder of them, with a column of vectors."""

import hashlib
from collections.abc import Iterator, Mapping
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
BATCH = 1 << 16  # rows read at once


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
        schema = pa.unify_schemas([pq.read_schema(part) for part in parts], promote_options="default")
        names = _vector_columns(schema)
        if not names or (column and column not in names):
            raise StoreError(_lacks(path, column, names, schema))
        stages = {name: _vectors(parts, name, path) for name in ([column] if column else names)}
        ids, texts = (_texts(parts, _called(schema, known)) for known in (PATHS, LABELS))
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read: {error}. Name a Parquet file with a column of vectors.") from error
    n_rows = len(next(iter(stages.values())))
    ids = ids or tuple(str(row) for row in range(n_rows))
    labels, class_names = _labels(texts)
    return FeatureSet(
        stages=stages,
        rows=np.arange(n_rows),
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
    """Columns of lists of floats; of whole numbers, as quantised vectors are, where there are none of floats."""
    lists = [field for field in schema if _is_list(field.type)]
    for is_number in (pa.types.is_floating, pa.types.is_integer):
        if names := [field.name for field in lists if is_number(field.type.value_type)]:
            return names
    return []


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _lacks(path: Path, column: str, names: list[str], schema: pa.Schema) -> str:
    if column:
        return f"{path} has no column {column!r} of vectors; it has {', '.join(names or schema.names)}."
    return f"{path} has no column of vectors, only {', '.join(schema.names)}. Wanted lists of numbers."


def _batches(parts: list[Path], name: str) -> Iterator[tuple[int, pa.Array]]:
    """A column as far as files have it, in pieces, each with the number of its first row: never all of it at once."""
    before = 0
    for part in parts:
        with pq.ParquetFile(part) as file:
            start = before
            if name in file.schema_arrow.names:
                for batch in file.iter_batches(BATCH, columns=[name]):
                    yield start, batch.column(0)
                    start += len(batch)
            before += file.metadata.num_rows


def _vectors(parts: list[Path], name: str, path: Path) -> np.ndarray:
    """A column as (N, D) float32."""
    n_rows = sum(pq.read_metadata(part).num_rows for part in parts)
    rows, seen = np.empty((0, 0), np.float32), 0
    for start, lists in _batches(parts, name):
        lengths = pc.unique(pc.list_value_length(lists).drop_null()).to_pylist()
        width = rows.shape[1] if seen else max(lengths, default=0)
        if lengths not in ([], [width]):
            low, high = min(*lengths, width), max(*lengths, width)
            raise StoreError(f"{path}: {name} has vectors of {low} to {high} numbers. Wanted one length.")
        if lists.null_count:
            break
        values = lists.flatten()
        if values.null_count:
            some = f"{values.null_count:,} number{'s are' if values.null_count > 1 else ' is'} missing"
            raise StoreError(f"{path}: in the vectors of {name} {some}. Leave these rows out.")
        if not seen:
            rows = np.empty((n_rows, width), np.float32)
        numbers = values.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
        rows[start : start + len(lists)] = numbers.reshape(len(lists), -1)
        seen += len(lists)
    if seen < n_rows:
        missing = n_rows - sum(len(lists) - lists.null_count for _, lists in _batches(parts, name))
        some = f"{missing:,} row{'s have' if missing > 1 else ' has'} no {name}"
        raise StoreError(f"{path}: {some}. Leave them out, and try again.")
    return rows


def _called(schema: pa.Schema, known: tuple[str, ...]) -> str:
    """The first column of text or whole numbers that has a known name; '' if none has."""
    by_name = {name.lower(): name for name in schema.names}
    for name in known:
        kind = schema.field(by_name[name]).type if name in by_name else None
        if kind is not None and (kind in (pa.string(), pa.large_string()) or pa.types.is_integer(kind)):
            return by_name[name]
    return ""


def _texts(parts: list[Path], name: str) -> tuple[str, ...] | None:
    """A column's values as text, '' where there is none; None without a column."""
    if not name:
        return None
    texts = [""] * sum(pq.read_metadata(part).num_rows for part in parts)
    for start, values in _batches(parts, name):
        texts[start : start + len(values)] = ["" if value is None else str(value) for value in values.to_pylist()]
    return tuple(texts)


def _labels(texts: tuple[str, ...] | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
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
