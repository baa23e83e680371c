"""Small pictures of a set on one sheet."""

import numpy as np

from features import rasters
from features.datasets import ImageSet
from features.datasets.decoding import pictures
from features.progress import Progress, Task
from viz.cached.server import ask
from viz.jobs import PREVIEW, Job, Work

SHEET_COLUMNS = 100  # so that 10,000 pictures, the largest set, make a square sheet
SHEET_LIMIT = SHEET_COLUMNS**2
STRIP_LIMIT = 120
LARGE_TILE, SMALL_TILE = 48, 32
MANY = 3000


def sheet_job(images: ImageSet, rows: tuple[int, ...] | None = None) -> Job:
    """Small pictures of a set, or of some of its rows, on one sheet of SHEET_COLUMNS, as a data link."""
    chosen = tuple(range(len(images))) if rows is None else rows
    part = "all" if rows is None else f"{len(rows)} spread"
    return ask(Work(f"sheet {images.digest} {part}", lambda: _sheet(images, chosen), PREVIEW))


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
    squares = []
    for done, row in enumerate(rows, start=1):
        squares.append(rasters.square(pictures(images, [row])[0], tile))
        if done % 50 == 0:
            yield Progress(done, len(rows), "picture")
    return rasters.data_uri(rasters.jpeg(rasters.contact_sheet(squares, tile, SHEET_COLUMNS)))
