"""Every format by name: which files it has, what writes it and what reads it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from features import files
from features.claim import MANIFEST
from features.registry import Registry
from features.store import arrays, parquet, projector
from features.store.feature_set import FeatureSet, Stages
from features.store.manifest import REJECTED, Manifest, StoreError, read_manifest

PARQUET, TENSORBOARD = "parquet", "tensorboard"
ROWS = "rows.parquet"
Picture = Callable[[int], Image.Image]  # opens the image at a position of the image set; raises ImageError
Write = Callable[[FeatureSet, Manifest, Path, np.ndarray, Picture | None], Iterator[int]]


@dataclass(frozen=True)
class Format:
    """A way to write features to files.

    title: whom it is for. names: of the files that hold the values. stages: reads them.
    write: some rows of a set into a folder, yielding how many bytes it went through; None for Parquet, which is written
        part by part as features are made.
    """

    name: str
    title: str
    names: Callable[[Manifest], set[str]]
    stages: type[Stages]
    write: Write | None = None


def _all_rows(write: Callable[[FeatureSet, Manifest, Path], Iterator[int]]) -> Write:
    """For a format that takes all rows, and no pictures."""
    return lambda features, manifest, folder, rows, picture: write(features, manifest, folder)


FORMATS = Registry(
    "format",
    (
        Format(
            PARQUET,
            "for DuckDB, pandas, Polars, Hugging Face datasets and Ray",
            lambda manifest: {parquet.part_name(manifest, number) for number in range(len(manifest.parts))},
            parquet.ParquetStages,
        ),
        Format(
            "npy", "a memory-mappable array per stage", arrays.npy_names, arrays.NpyStages, _all_rows(arrays.write_npy)
        ),
        Format(
            "npz", "one archive for NumPy", lambda _: {arrays.ARCHIVE}, arrays.NpzStages, _all_rows(arrays.write_npz)
        ),
        Format(
            "safetensors",
            "one file of tensors",
            lambda _: {arrays.TENSORS},
            arrays.SafetensorsStages,
            _all_rows(arrays.write_safetensors),
        ),
        Format(TENSORBOARD, "for the Embedding Projector", projector.names, projector.TsvStages, projector.write),
    ),
)


def names_of(manifest: Manifest, format: str | None = None) -> set[str]:
    """The files of a folder of features, by their names. format: another than the manifest's."""
    name = format or manifest.format
    return FORMATS[name].names(manifest) | {MANIFEST, REJECTED} | (set() if name == PARQUET else {ROWS})


def need_format(name: str, dtype: str) -> None:
    """Raises StoreError if there is no such format, or values of such a type cannot be written in it."""
    if name not in FORMATS:
        raise StoreError(f"The format is {name!r}. Wanted one of {', '.join(FORMATS)}.")
    if name == TENSORBOARD and dtype != "float32":
        raise StoreError("The Projector shows points, and whole maps are none. Pool them, or choose another format.")


def need_local(format: str, folder: Path) -> None:
    """Raises StoreError for an address with a format that is written block by block into files."""
    if format != PARQUET and not files.is_local(folder):
        raise StoreError(f"{folder} takes only Parquet. Write {format} to a folder of this machine, and copy it.")


def open_features(folder: Path | str) -> FeatureSet:
    """The set that was written to a folder, in whatever format; Parquet also from an address such as 's3://...'.

    Raises StoreError if there is none, or not a whole one.
    """
    folder = files.path_of(folder)
    manifest = read_manifest(folder)
    if manifest.format not in FORMATS:
        raise StoreError(f"{folder} is written as {manifest.format!r}, which this program does not know. Update it.")
    try:
        if manifest.format == PARQUET:
            return parquet.opened(folder, manifest)
        table = parquet.read_table(folder / ROWS)
        rejected, aside = parquet.read_rejected(folder)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{folder} cannot be read: {error}. Run the command that made it again.") from error
    stages = FORMATS[manifest.format].stages(folder, manifest)
    return parquet.as_set(table, table["row"].to_numpy(), stages, rejected, aside)
