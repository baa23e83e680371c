"""Maps reduced to two numbers an image and channel: their maximum and their mean over positions."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from features.engine.fast_network import cached_at_once


@dataclass(frozen=True, eq=False)
class Reduced:
    """What is left of N images' maps (N, C, H, W).

    means, maxima: (N, C) float32, over positions. row_maxima: (N, H, C) float32, over the columns of each row: with
    them the position of a maximum is looked up for the few images for which it is wanted, in one row instead of a map.
    """

    means: Tensor
    maxima: Tensor
    row_maxima: Tensor

    def positions(self, maps: Tensor, images: np.ndarray, channels: np.ndarray) -> np.ndarray:
        """Row and column, (R, 2) int32, of the maxima of R pairs of an image and a channel: the first in reading order.

        maps: those that were reduced. images, channels: (R,) int64, numbers in the batch.
        """
        at, channel = (torch.from_numpy(numbers).to(maps.device) for numbers in (images, channels))
        rows = self.row_maxima[at, :, channel].argmax(1)  # (R,)
        columns = maps[at, channel, rows].argmax(1)  # (R,), of (R, W)
        return torch.stack([rows, columns], 1).to(torch.int32).cpu().numpy()


def reduced(maps: Tensor) -> Reduced:
    """Reduce maps (N, C, H, W), of which those in channels-last memory are read where they lie.

    On a CPU in pieces that stay in the cache, so that the second reduction does not read memory again.
    """
    size = cached_at_once(maps) if maps.device.type == "cpu" else len(maps)
    pieces = [_reduced(piece) for piece in maps.permute(0, 2, 3, 1).split(size)]  # (n, H, W, C)
    means, row_maxima = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    return Reduced(means, row_maxima.amax(1), row_maxima)


def _reduced(maps: Tensor) -> tuple[Tensor, Tensor]:
    return maps.mean((1, 2), dtype=torch.float32), maps.amax(2).float()  # (n, C), (n, H, C)
