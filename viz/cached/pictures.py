"""Small pictures of a set on one sheet."""

import hashlib

import numpy as np
from PIL import Image

from features import rasters
from features.datasets import ImageSet
from features.progress import Task
from viz.cached import atlas
from viz.jobs import PREVIEW, Work

SHEET_COLUMNS = 100  # so that 10,000 pictures, the largest set, make a square sheet
SHEET_LIMIT = SHEET_COLUMNS**2
STRIP_LIMIT = 120
PART_LIMIT = 2000
LARGE_TILE, SMALL_TILE = atlas.SIDE, 32
MANY = 3000


def sheet_work(images: ImageSet, rows: tuple[int, ...] | None = None) -> Work:
    """Small pictures of a set, or of some of its rows, on one sheet of SHEET_COLUMNS, as a data link."""
    chosen = tuple(range(len(images))) if rows is None else rows
    part = "all" if rows is None else f"{len(rows)} spread"
    return Work(f"sheet {images.digest} {part}", lambda: _sheet(images, chosen), PREVIEW)


def part_work(images: ImageSet, rows: np.ndarray) -> Work:
    """As `sheet_work`, of rows (K,) that somebody chose, at most PART_LIMIT, in their order."""
    chosen = tuple(rows[:PART_LIMIT].tolist())
    key = hashlib.blake2b(np.asarray(chosen, np.int64).tobytes(), digest_size=12).hexdigest()
    return Work(f"sheet {images.digest} {key}", lambda: _sheet(images, chosen), PREVIEW)


def strip_rows(n_images: int) -> tuple[int, ...]:
    """At most STRIP_LIMIT rows, spread evenly over a set."""
    return _spread(n_images, STRIP_LIMIT)


def sheet_rows(n_images: int) -> tuple[int, ...] | None:
    """Which rows of a set a sheet holds, spread evenly over it, where they are too many for one; else None, for all."""
    return None if n_images <= SHEET_LIMIT else _spread(n_images, SHEET_LIMIT)


def _spread(n_images: int, most: int) -> tuple[int, ...]:
    return tuple(np.unique(np.linspace(0, n_images - 1, most).round().astype(int)).tolist())


def _sheet(images: ImageSet, rows: tuple[int, ...]) -> Task[str]:
    tile = SMALL_TILE if len(rows) > MANY else LARGE_TILE
    made = yield from atlas.tiles(images, rows)  # (K, S, S, 3)
    squares = [Image.fromarray(each) for each in made]
    return rasters.data_uri(rasters.jpeg(rasters.contact_sheet(squares, tile, SHEET_COLUMNS)))
