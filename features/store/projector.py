"""The rows for TensorBoard's Embedding Projector: points as text, what they are, and their pictures."""

import csv
from collections.abc import Callable, Iterator
from functools import lru_cache
from math import ceil, prod, sqrt
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps
from pyarrow import csv as arrow_csv

from features.errors import ImageError
from features.store.arrays import blocks
from features.store.feature_set import FeatureSet, Stages
from features.store.manifest import Manifest

METADATA, SPRITE, CONFIG = "metadata.tsv", "sprite.png", "projector_config.pbtxt"
MAX_ROWS = 100_000  # what the Projector still draws
MAX_SIDE, MAX_TILE = 8192, 64  # pixels of the sheet of pictures, and of one of them


def names(manifest: Manifest) -> set[str]:
    """The files of `write`; the sprite only where there were pictures."""
    return {METADATA, SPRITE, CONFIG, *(f"{stage}.tsv" for stage in manifest.shapes)}


def sample(features: FeatureSet, limit: int) -> np.ndarray:
    """At most `limit` rows, ascending, each class with the share that it has in the whole set."""
    n_rows = len(features)
    if n_rows <= limit:
        return np.arange(n_rows)
    strata = np.zeros(n_rows, np.int64) if features.labels is None else features.labels
    order = np.lexsort((np.random.default_rng(0).random(n_rows), strata))
    # Every so many of the rows in the order of their classes, from the middle of each stretch.
    return np.sort(order[(2 * np.arange(limit) + 1) * n_rows // (2 * limit)])


def write(
    features: FeatureSet,
    manifest: Manifest,
    folder: Path,
    rows: np.ndarray,
    picture: Callable[[int], Image.Image] | None,
) -> Iterator[int]:
    """Points of the chosen rows for every stage, metadata.tsv, sprite.png if there are pictures, and the file that
    TensorBoard looks for. Yields how many bytes of features it went through.

    picture: opens the image at a position of the image set.
    """
    _write_metadata(features, folder / METADATA, rows)
    side = _write_sprite(features, folder / SPRITE, rows, picture) if picture else None
    for stage, shape in manifest.shapes.items():
        columns = map(str, range(prod(shape)))
        schema = pa.schema([(name, pa.float32()) for name in columns])
        options = arrow_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
        path = folder / f"{stage}.tsv"
        with path.open("wb") as opened, arrow_csv.CSVWriter(opened, schema, write_options=options) as file:
            start = 0
            for block in blocks(features, manifest, stage):
                here = rows[(rows >= start) & (rows < start + len(block))] - start
                file.write_table(pa.table(list(block[here].T.copy()), schema=schema))
                start += len(block)
                yield block.nbytes
    (folder / CONFIG).write_text("".join(_embedding(stage, side) for stage in manifest.shapes), "utf-8")


def _embedding(stage: str, side: int | None) -> str:
    lines = [f'tensor_name: "{stage}"', f'tensor_path: "{stage}.tsv"', f'metadata_path: "{METADATA}"']
    if side:
        lines.append(f'sprite {{ image_path: "{SPRITE}" single_image_dim: {side} single_image_dim: {side} }}')
    return "embeddings {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _write_metadata(features: FeatureSet, path: Path, rows: np.ndarray) -> None:
    table = features.table().iloc[rows]
    for name in ("id", "label", "pred"):  # a table of tabs and lines has no way to write either of them
        table[name] = table[name].map(lambda cell: " ".join(cell.split()), na_action="ignore")
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        table.to_csv(file, sep="\t", index=False, float_format="%.4f", quoting=csv.QUOTE_NONE, lineterminator="\n")


def _write_sprite(features: FeatureSet, path: Path, rows: np.ndarray, picture: Callable[[int], Image.Image]) -> int:
    """One sheet of square pictures, as many in a row as rows; returns a picture's side in pixels."""
    columns = ceil(sqrt(len(rows)))
    side = min(MAX_TILE, MAX_SIDE // columns)
    sheet = Image.new("RGB", (columns * side, ceil(len(rows) / columns) * side), "white")
    for number, row in enumerate(rows):
        try:
            tile = ImageOps.pad(picture(int(features.rows[row])), (side, side), color="white")
        except ImageError:  # gone since its features were read
            tile = Image.new("RGB", (side, side), "grey")
        sheet.paste(tile, (number % columns * side, number // columns * side))
    sheet.save(path)
    return side


class TsvStages(Stages):
    """Read whole, since lines have no fixed length; the last stage is kept."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        super().__init__(folder, manifest)
        self._whole = lru_cache(maxsize=1)(self._table)

    def _read(self, stage: str, start: int, stop: int) -> np.ndarray:
        return self._whole(stage)[start:stop]

    def _table(self, stage: str) -> np.ndarray:
        columns = [str(number) for number in range(prod(self.manifest.shapes[stage]))]
        table = arrow_csv.read_csv(
            self.folder / f"{stage}.tsv",
            arrow_csv.ReadOptions(column_names=columns),
            arrow_csv.ParseOptions(delimiter="\t"),
            arrow_csv.ConvertOptions(column_types={name: pa.float32() for name in columns}),
        )
        return np.stack([column.to_numpy() for column in table.columns], axis=1)
