"""Measures what every residual branch adds to its shortcut, over an image set."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from features.datasets import ImageSet, Rejected
from features.extract import finite, over, provenance
from features.network import ResidualBlock
from features.progress import Task
from features.zoo import Model


@dataclass(frozen=True, eq=False)
class BlockStatistics:
    """What B blocks did on N images, with x the shortcut's output and F the branch's.

    blocks, stages, shortcuts: (B,) names, each block's stage and its kind of shortcut.
    ratios: (N, B) float32, |F| / |x|, Euclidean norms over C, H, W of one image (Jastrzebski et al. 2018,
        arXiv:1710.04773); NaN where |x| is zero, as in a plain network.
    cosines: (N, B) float32 in [-1, 1], of the angle between F and x: whether a block refines what it is given
        (Greff et al. 2017, arXiv:1612.07771) or turns it; NaN where either is zero.
    negative: (B,) share in [0, 1] of the sum's values that are below zero, which the ReLU removes.
    dead, channels: (B,) channels of the block's output that are zero everywhere in every image, of how many.
    """

    blocks: tuple[str, ...]
    stages: tuple[str, ...]
    shortcuts: tuple[str, ...]
    ratios: np.ndarray
    cosines: np.ndarray
    negative: np.ndarray
    dead: np.ndarray
    channels: np.ndarray
    n_images: int
    rejected: tuple[Rejected, ...]
    provenance: dict[str, Any]

    def table(self) -> pd.DataFrame:
        """One row per block: means and percentiles over images, shares in [0, 1]; NaN where undefined."""
        low, middle, high = _percentiles(self.ratios, (5, 50, 95))
        return pd.DataFrame(
            {
                "stage": self.stages,
                "block": self.blocks,
                "shortcut": self.shortcuts,
                "n_images": self.n_images,
                "ratio_mean": _means(self.ratios),
                "ratio_median": middle,
                "ratio_p05": low,
                "ratio_p95": high,
                "cosine_mean": _means(self.cosines),
                "cosine_median": _percentiles(self.cosines, (50,))[0],
                "negative_share": self.negative,
                "dead_channels": self.dead,
                "channels": self.channels,
            }
        )


def _means(values: np.ndarray) -> np.ndarray:
    """(B,) means over images of (N, B) without NaN; NaN for a column that has nothing else."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(0, dtype=np.float64)
    return np.divide(total, known.sum(0), out=np.full(values.shape[1], np.nan), where=known.any(0))


def _percentiles(values: np.ndarray, percentages: tuple[float, ...]) -> np.ndarray:
    """(P, B) percentiles over images of (N, B) without NaN; NaN for a column that has nothing else."""
    found = np.full((len(percentages), values.shape[1]), np.nan)
    known = ~np.isnan(values).all(0)  # (B,)
    if known.any():
        found[:, known] = np.nanpercentile(values[:, known], percentages, axis=0)
    return found


class _Tally:
    """Sums over images for one block; float64 and integers, so that a million images add up."""

    def __init__(self) -> None:
        self.ratios: list[np.ndarray] = []
        self.cosines: list[np.ndarray] = []
        self.negative = self.values = 0
        self.alive: np.ndarray | None = None

    def add(self, model: Model, block: ResidualBlock, x: Tensor) -> Tensor:
        """Read one batch (N, C, H, W) of a block's input and return the block's output."""
        shortcut, branch = block.parts(x)
        total = shortcut + branch
        output = block.activation(total)
        flat_x, flat_f = shortcut.flatten(1).double(), branch.flatten(1).double()  # (N, C H W)
        norm_x, norm_f = flat_x.norm(dim=1), flat_f.norm(dim=1)  # (N,)
        finite(norm_x + norm_f, model)  # NaN stands for an absent shortcut below, so it must not come from elsewhere
        nan = torch.full_like(norm_x, torch.nan)
        ratio = torch.where(norm_x > 0, norm_f / norm_x, nan)
        product = norm_x * norm_f
        cosine = torch.where(product > 0, (flat_x * flat_f).sum(1) / product, nan).clamp(-1, 1)
        self.ratios.append(ratio.float().cpu().numpy())
        self.cosines.append(cosine.float().cpu().numpy())
        self.negative += int((total < 0).sum())
        self.values += total.numel()
        alive = (output != 0).any(3).any(2).any(0).cpu().numpy()  # (C,)
        self.alive = alive if self.alive is None else self.alive | alive
        return output


def statistics(model: Model, images: ImageSet) -> Task[BlockStatistics]:
    """Branch statistics of every block, in one streaming pass in fp32.

    Raises DatasetError if no image can be read, FeatureError if the network makes NaN or infinite values.
    """
    blocks = dict(model.network.blocks())
    tallies = {name: _Tally() for name in blocks}

    def work(pixels: Tensor) -> None:
        with torch.inference_mode():
            x = model.network.stem(pixels)
            for name, block in blocks.items():
                x = tallies[name].add(model, block, x)

    rows, rejected = yield from over(model, images, work)
    alive = [tally.alive for tally in tallies.values() if tally.alive is not None]
    return BlockStatistics(
        blocks=tuple(blocks),
        stages=tuple(name.split(".")[0] for name in blocks),
        shortcuts=tuple(block.shortcut_kind for block in blocks.values()),
        ratios=np.stack([np.concatenate(tally.ratios) for tally in tallies.values()], axis=1),
        cosines=np.stack([np.concatenate(tally.cosines) for tally in tallies.values()], axis=1),
        negative=np.array([tally.negative / tally.values for tally in tallies.values()]),
        dead=np.array([int((~channel).sum()) for channel in alive]),
        channels=np.array([len(channel) for channel in alive]),
        n_images=len(rows),
        rejected=rejected,
        provenance=provenance(model, images),
    )
