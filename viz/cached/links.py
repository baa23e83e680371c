"""Pictures and heat maps as data links, for browser parts that lay the one over the other."""

from dataclasses import dataclass

import numpy as np

from features import rasters
from viz.cached.made import made


@dataclass(frozen=True)
class Link:
    """A picture as a data link. size: its width and height in pixels."""

    file: str
    size: tuple[int, int]


def picture_link(pixels: np.ndarray, side: int, small: bool) -> Link:
    """A picture (H, W, 3) uint8, magnified to at least `side` pixels. small: of many, so that a JPEG does."""
    return made(_picture, pixels, side, small)


def heat_link(values: np.ndarray, over: Link, small: bool, colours: str = "Inferno", limit: float | None = None) -> str:
    """A map (h, w) in colours (see `rasters.heat_map`) to lie over a picture."""
    return made(_heat, values, over.size, colours, limit, small)


def _picture(pixels: np.ndarray, side: int, small: bool) -> Link:
    large = rasters.magnify(pixels, side)  # (H, W, 3)
    file = rasters.jpeg(large, 92) if small else rasters.png(large)
    return Link(rasters.data_uri(file), (large.shape[1], large.shape[0]))


def _heat(values: np.ndarray, size: tuple[int, int], colours: str, limit: float | None, small: bool) -> str:
    heat = rasters.heat_map(values, size, colours, limit)  # (H, W, 3)
    return rasters.data_uri(rasters.jpeg(heat, 90) if small else rasters.png(heat))
