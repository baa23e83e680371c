"""Puts maps of networks that see a picture in different cuts on one grid, in the picture's own coordinates."""

from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """A part of a picture, in its pixels from the upper left."""

    left: float
    top: float
    right: float
    bottom: float


def common(boxes: tuple[Box, ...], size: tuple[int, int]) -> Box:
    """What all boxes have in common, within a picture of `size` (width, height).

    It is never empty: every framing keeps the picture's centre.
    """
    whole = Box(0, 0, *size)
    starts = np.max([whole[:2], *(box[:2] for box in boxes)], axis=0)
    ends = np.min([whole[2:], *(box[2:] for box in boxes)], axis=0)
    return Box(*map(float, (*starts, *ends)))


def sampled(values: np.ndarray, box: Box, region: Box, side: int) -> np.ndarray:
    """A map (h, w) that fills a box, at the centres of side x side cells of a region inside: (side, side) float64.

    Bilinear between the centres of the map's cells and constant beyond the outermost, as overlays are drawn.
    """
    down = _stops(values.shape[0], (box.top, box.bottom), (region.top, region.bottom), side)
    across = _stops(values.shape[1], (box.left, box.right), (region.left, region.right), side)
    rows = _between(values.astype(np.float64), *down)  # (side, w)
    return _between(rows.T, *across).T  # (side, side)


def _stops(
    count: int, box: tuple[float, float], region: tuple[float, float], side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of the grid's lines the map's two lines around it, (side,) int64 each, and how far on it lies."""
    points = region[0] + (np.arange(side) + 0.5) / side * (region[1] - region[0])
    lines = np.clip((points - box[0]) / (box[1] - box[0]) * count - 0.5, 0, count - 1)
    first = lines.astype(np.int64)
    return first, np.minimum(first + 1, count - 1), lines - first


def _between(values: np.ndarray, first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Lines of a map (h, w) at some shares of the way from one to another: (side, w)."""
    low = values[first]
    # Of equal neighbours exactly their value, so that what is flat has ties and no order that rounding made.
    return low + share[:, None] * (values[second] - low)
