"""The rows for TensorBoard's Embedding Projector: points as text, what they are, and their pictures."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from math import ceil, prod, sqrt
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps
from pyarrow import csv

from features.errors import ImageError
from features.store.arrays import blocks
from features.store.feature_set import FeatureSet, Stages
from features.store.manifest import Manifest

METADATA, SPRITE, CONFIG = "metadata.tsv", "sprite.png", "projector_config.pbtxt"
MAX_ROWS = 100_000  # what the Projector still draws
MAX_SIDE, MAX_TILE = 8192, 64  # pixels of the sheet of pictures, and of one of them


def sample(found: FeatureSet, limit: int) -> np.ndarray:
    """At most `limit` rows, ascending, each class with the share that it has in the whole set."""
    n_rows = len(found)
    if n_rows <= limit:
        return np.arange(n_rows)
    strata = np.zeros(n_rows, np.int64) if found.labels is None else found.labels
    order = np.lexsort((np.random.default_rng(0).random(n_rows), strata))
    # Every so many of the rows in the order of their classes, from the middle of each stretch.
    return np.sort(order[(2 * np.arange(limit) + 1) * n_rows // (2 * limit)])


def write(
    found: FeatureSet, manifest: Manifest, folder: Path, rows: np.ndarray, picture: Callable[[int], Image.Image] | None
) -> Iterator[int]:
    """Points of the chosen rows for every stage, metadata.tsv, sprite.png if there are pictures, and the file that
    TensorBoard looks for. Yields how many bytes of features it went through.

    picture: opens the image at a position of the image set.
    """
    _write_metadata(found, folder / METADATA, rows)
    side = _write_sprite(found, folder / SPRITE, rows, picture) if picture else None
    for stage, shape in manifest.shapes.items():
        names = [str(number) for number in range(prod(shape))]
        schema = pa.schema([(name, pa.float32()) for name in names])
        options = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
        with csv.CSVWriter(folder / f"{stage}.tsv", schema, write_options=options) as file:
            start = 0
            for block in blocks(found, manifest, stage):
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


def _write_metadata(found: FeatureSet, path: Path, rows: np.ndarray) -> None:
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        table = found.table().iloc[rows]
        file.write("\t".join(table) + "\n")
        for *words, confidence in table.itertuples(index=False):
            number = "" if np.isnan(confidence) else f"{confidence:.4f}"
            # A table of tabs and lines has no way to write either of them.
            cells = (" ".join((cell or "").split()) for cell in (*words, number))
            file.write("\t".join(cells) + "\n")


def _write_sprite(found: FeatureSet, path: Path, rows: np.ndarray, picture: Callable[[int], Image.Image]) -> int:
    """One sheet of square pictures, as many in a row as rows; returns a picture's side in pixels."""
    columns = ceil(sqrt(len(rows)))
    side = min(MAX_TILE, MAX_SIDE // columns)
    sheet = Image.new("RGB", (columns * side, ceil(len(rows) / columns) * side), "white")
    for place, row in enumerate(rows):
        try:
            tile = ImageOps.pad(picture(int(found.rows[row])), (side, side), color="white")
        except ImageError:  # gone since its features were read
            tile = Image.new("RGB", (side, side), "grey")
        sheet.paste(tile, (place % columns * side, place // columns * side))
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
        names = [str(number) for number in range(prod(self.manifest.shapes[stage]))]
        table = csv.read_csv(
            self.folder / f"{stage}.tsv",
            csv.ReadOptions(column_names=names),
            csv.ParseOptions(delimiter="\t"),
            csv.ConvertOptions(column_types={name: pa.float32() for name in names}),
        )
        return np.stack([column.to_numpy() for column in table.columns], axis=1)
