"""Maps and filters as sheets of small pictures."""

from collections.abc import Sequence

import numpy as np

from features import rasters
from features.channels.filters import Filters
from features.channels.maps import OUTPUT, FeatureMaps

MAP_SIDE, FILTER_SIDE = 56, 63  # px of a picture on a sheet, at least
SHOWN = 0.995


def map_sheet(
    values: np.ndarray, colours: str, limit: float | None, columns: int, side: int = MAP_SIDE, gap: int = 0
) -> np.ndarray:
    """Maps (R, h, w) in colours of `rasters.COLOURS`, row by row: (H, W, 3) uint8.

    limit: what the ends of the colours stand for, in all of them; None for each one's own.
    """
    tiles = [rasters.heat_map(each, (side, side), colours, limit) for each in values]
    return rasters.mosaic(tiles, columns, gap)


def filter_sheet(filters: Filters, numbers: Sequence[int], columns: int = 0, gap: int = 0) -> np.ndarray:
    """Some filters row by row, (H, W, 3) uint8: one picture of each in colours, or one for each of its planes.

    columns: pictures in a row; 0 for 8 filters, or for the planes of one where they are several.
    """
    pictures = [picture for number in numbers for picture in filters.pictures(number)]
    planes = len(pictures) // len(numbers)
    tiles = [rasters.magnify(picture, FILTER_SIDE) for picture in pictures]
    return rasters.mosaic(tiles, columns or (planes if planes > 1 else 8), gap)


def shared_limit(values: np.ndarray, signed: bool) -> float:
    """What the colours of many maps end at together: what one position in two hundred exceeds, lest one channel that is
    far above all others leave these dark."""
    sizes = np.abs(values) if signed else np.maximum(values, 0)
    return float(np.quantile(sizes, SHOWN)) or rasters.limit_of(values, signed)


def colours_of(maps: FeatureMaps) -> str:
    """The colours of maps where none were chosen: with a middle for zero where some may lie below it, so that branch,
    shortcut and sum look alike."""
    return next(iter(rasters.RECTIFIED if maps.part == OUTPUT and maps.values.min() >= 0 else rasters.SIGNED))
