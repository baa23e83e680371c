"""What one channel answers to chosen images, with its maps: those between the extremes, or of anybody's choice."""

from dataclasses import dataclass

import numpy as np
import torch

from features.channels.layers import layer_named, need_channel
from features.channels.reader import outputs
from features.channels.results import QUANTILES, Channels
from features.datasets import ImageSet
from features.datasets.decoding import Batch, through
from features.devices import device_of
from features.engine import FastNetwork
from features.networks.zoo import Model
from features.progress import Task
from features.results import finite


@dataclass(frozen=True, eq=False)
class Examples:
    """One channel's maps of R images.

    layer: 'stem' or a block. rows: (R,) int64, the images' numbers in their set. maps: (R, H, W) float32, behind the
    layer's activation.
    """

    layer: str
    channel: int
    rows: np.ndarray
    maps: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """(R,) float32, the maxima over positions."""
        return self.maps.max((1, 2))

    @property
    def positions(self) -> np.ndarray:
        """(R, 2) int64, row and column of the maxima: the first in reading order."""
        flat = self.maps.reshape(len(self.maps), -1).argmax(1)
        return np.stack(np.unravel_index(flat, self.maps.shape[1:]), 1)


def examples(model: Model, images: ImageSet, layer: str, channel: int, rows: np.ndarray) -> Task[Examples]:
    """One channel's maps of some images of a set, in fp32. What cannot be read is left out.

    layer: 'stem', a block, or a stage for its last block. rows: (R,), numbers in the set.
    Raises DatasetError if none can be read, FeatureError if there is no such layer or channel, or for NaN or infinite
    values.
    """
    name = layer_named(model.network, layer)
    network = FastNetwork(model.network, model.spec.preprocessing, torch.float32, device_of(model.network))
    parts: list[np.ndarray] = []

    def work(batch: Batch) -> tuple[()]:
        with torch.inference_mode():
            ((_, maps),) = outputs(network, batch.pixels, [name])  # (N, C, H, W)
            need_channel(name, maps.shape[1], channel)
            parts.append(finite(maps[:, channel], model).float().cpu().numpy())  # (N, H, W)
        return ()

    read, _ = yield from through(model, images.take(rows.tolist()), work)
    return Examples(name, channel, np.asarray(rows, np.int64)[read], np.concatenate(parts))


def rows_at(
    told: Channels, layer: str, channel: int, shares: tuple[float, ...] = QUANTILES, each: int = 3
) -> np.ndarray:
    """The images whose maxima lie at quantiles of a channel: (Q, E) int64, numbers in the set, in the maxima's order.

    The E images around each quantile, of those that are sampled; E is `each`, or how many there are if these are fewer.
    Raises FeatureError if there is no such channel, or the layer was not measured.
    """
    measured = told.layer(layer)
    need_channel(measured.name, measured.n_channels, channel)
    order = np.argsort(measured.maxima[:, channel], kind="stable")  # (M,)
    width = min(each, len(order))
    firsts = np.rint(np.array(shares) * (len(order) - 1) - (width - 1) / 2).astype(np.int64)  # (Q,)
    firsts = np.clip(firsts, 0, len(order) - width)
    return told.sample_rows[order[firsts[:, None] + np.arange(width)]]
