"""The images of a channel as a selection: those that excite it most or least, between two quantiles, or not at all.

Beyond the extremes that are kept of all images, they are chosen among the sampled ones, which are all of them unless
the set is very large: `Channels.is_exact`.
"""

import numpy as np

from features.channels.layers import need_channel
from features.channels.results import Channels, Layer
from features.errors import FeatureError
from features.selection import Selection


def highest(told: Channels, layer: str, channel: int, k: int) -> Selection:
    """The k images with the highest maxima of a channel, or all where there are fewer; of equal ones the earlier.

    Raises FeatureError if there is no such layer or channel, or k is below 1.
    """
    return _extreme(told, layer, channel, k, 1)


def lowest(told: Channels, layer: str, channel: int, k: int) -> Selection:
    """As `highest`, of the lowest maxima."""
    return _extreme(told, layer, channel, k, -1)


def between(told: Channels, layer: str, channel: int, low: float, high: float) -> Selection:
    """The images whose maxima lie between two quantiles of a channel, these included.

    low, high: shares of images, 0 to 1. Raises FeatureError if there is no such layer or channel, or the shares are not
    in order.
    """
    if not 0 <= low <= high <= 1:
        raise FeatureError(f"Quantiles are shares from 0 to 1, the lower first, but got {low} and {high}.")
    maxima = _maxima(told.layer(layer), channel)
    bounds = np.quantile(maxima, (low, high), method="inverted_cdf")  # each is a value that occurs
    return _selection(told, told.sample_rows[(maxima >= bounds[0]) & (maxima <= bounds[1])])


def silent(told: Channels, layer: str, channel: int) -> Selection:
    """The images without a position at which a channel is above 0. Raises FeatureError as `highest`."""
    return _selection(told, told.sample_rows[_maxima(told.layer(layer), channel) <= 0])


def _extreme(told: Channels, layer: str, channel: int, k: int, sign: int) -> Selection:
    if k < 1:
        raise FeatureError(f"Wanted at least 1 image, but got {k}.")
    chosen = told.layer(layer)
    maxima = _maxima(chosen, channel)
    kept = (chosen.top if sign > 0 else chosen.bottom).rows[channel]
    others = told.sample_rows[np.argsort(-sign * maxima, kind="stable")]  # (M,)
    return _selection(told, np.concatenate([kept, others[~np.isin(others, kept)]])[:k])


def _maxima(layer: Layer, channel: int) -> np.ndarray:
    """(M,) float32, of the sampled images."""
    need_channel(layer.name, layer.n_channels, channel)
    return layer.maxima[:, channel]


def _selection(told: Channels, rows: np.ndarray) -> Selection:
    return Selection(str(told.provenance.images_digest), np.sort(rows).astype(np.int64), len(told.ids))
