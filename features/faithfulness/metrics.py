"""Metrics of maps that need nothing but a score of images: curves, what is seen through a map, ranks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from features.errors import FeatureError

STEPS = 32

Score = Callable[[Tensor], Tensor]  # (N, C, H, W) -> (N,)


@dataclass(frozen=True, eq=False)
class Curves:
    """What a score does while pixels change, the most important ones first (Petsiuk et al. 2018, arXiv:1806.07421).

    shares: (S + 1,) of the pixels, from 0 to 1. deletion: (N, S + 1), the score while pixels are taken away: a good map
    makes it fall at once. insertion: (N, S + 1), while they are given back: a good map makes it rise at once.
    """

    shares: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def deletion_auc(self) -> np.ndarray:
        """(N,) the area under each deletion curve by the trapezoid rule; small is good."""
        return np.trapezoid(self.deletion, self.shares, axis=1)

    @property
    def insertion_auc(self) -> np.ndarray:
        """(N,) the area under each insertion curve; large is good."""
        return np.trapezoid(self.insertion, self.shares, axis=1)


def curves(score: Score, pixels: Tensor, nothing: Tensor, blurred: Tensor, maps: Tensor, steps: int = STEPS) -> Curves:
    """Deletion and insertion, in `steps` equal steps.

    pixels, nothing, blurred: (N, C, H, W); deletion goes from `pixels` to `nothing`, insertion from
    `blurred` to `pixels`.
    maps: (N, H, W), importance. Of equally important pixels the upper left one comes first.
    Raises FeatureError if the sizes differ or there is no step.
    """
    count = maps[0].numel() if len(maps) else 0
    if maps.shape != (len(pixels), *pixels.shape[2:]) or steps < 1:
        raise FeatureError(
            f"Wanted maps of shape {(len(pixels), *pixels.shape[2:])} and at least one step, but got "
            f"{tuple(maps.shape)} and {steps}. Enlarge the maps to the image."
        )
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)  # (N, H W)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(count, device=order.device).expand_as(order))
    rank = rank.reshape(maps.shape)[:, None]  # (N, 1, H, W)
    changed = [round(step * count / steps) for step in range(steps + 1)]
    deletion = [score(torch.where(rank < number, nothing, pixels)) for number in changed]
    insertion = [score(torch.where(rank < number, pixels, blurred)) for number in changed]
    shares = np.array(changed) / max(1, count)
    return Curves(shares, *(torch.stack(kind, 1).double().cpu().numpy() for kind in (deletion, insertion)))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, of two maps of one shape; NaN if either is constant, which has no ranks."""
    from scipy.stats import rankdata

    first, second = (rankdata(values.ravel()) - (values.size + 1) / 2 for values in (one, other))
    size = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / size) if size > 0 else float("nan")


def rank_correlations(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) of maps (N, H, W) and as many others, as `rank_correlation`."""
    return np.array([rank_correlation(one, other) for one, other in zip(ones, others, strict=True)])


def enlarged(maps: np.ndarray, size: Sequence[int]) -> Tensor:
    """Maps (N, h, w) at (N, H, W), bilinearly."""
    values = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))[:, None]
    return functional.interpolate(values, tuple(size), mode="bilinear", align_corners=False)[:, 0]


def shown_through(pixels: Tensor, nothing: Tensor, maps: Tensor) -> Tensor:
    """Images (N, C, H, W) seen through maps (N, H, W): as they are at a map's maximum, `nothing` at 0 and below."""
    top = maps.amax((1, 2), keepdim=True)
    light = torch.where(top > 0, maps.clamp(min=0) / top, torch.zeros_like(maps))[:, None]
    return nothing + light * (pixels - nothing)
