"""How much gradient flows through paths of each length: a network of n blocks is a bundle of 2^n paths.

Veit, Wilber & Belongie 2016, arXiv:1605.06431, section 4 and figure 6.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from features import labels
from features.datasets import ImageSet, Rejected
from features.engine import FastNetwork
from features.errors import FeatureError
from features.extract import Batch, batch_size, finite, provenance, through
from features.network import ResidualBlock, device_of
from features.progress import Task
from features.zoo import Model

DRAWS = 20
PATH_IMAGES = 128  # enough for a mean over images, since every one takes part in all paths


@dataclass(frozen=True, eq=False)
class Paths:
    """The paths through n blocks: each block is passed through its branch (which counts) or its shortcut.

    lengths: (n + 1,) from 0 to n. share: (n + 1,) of all 2^n paths, the binomial distribution.
    single: (n + 1, M) float64, mean over images of the gradient's norm at the first block's input along single paths of
        each length, M of which were drawn.
    together: (n + 1,) float64, mean over images of the norm of the sum of the gradients along all paths of a length:
        exact, nothing is drawn, and what cancels out is gone.
    """

    lengths: np.ndarray
    share: np.ndarray
    single: np.ndarray
    together: np.ndarray
    n_images: int
    rejected: tuple[Rejected, ...]
    settings: dict[str, int]
    provenance: dict[str, Any]

    @property
    def flow(self) -> np.ndarray:
        """(n + 1,) the share of the gradient through paths of each length: their number times a single one's mean."""
        total = self.share * self.single.mean(1)
        return total / total.sum() if total.sum() > 0 else np.full(len(total), np.nan)

    @property
    def together_share(self) -> np.ndarray:
        """(n + 1,) each length's part of the summed norms of `together`."""
        return self.together / self.together.sum() if self.together.sum() > 0 else np.full(len(self.lengths), np.nan)

    def table(self) -> pd.DataFrame:
        """One row per length; norms in units of the loss per unit of the first block's input, shares of 1."""
        return pd.DataFrame(
            {
                "length": self.lengths,
                "path_share": self.share,
                "single_mean": self.single.mean(1),
                "single_sd": self.single.std(1, ddof=1),
                "flow": self.flow,
                "together": self.together,
                "together_share": self.together_share,
            }
        )


def paths(model: Model, images: ImageSet, draws: int = DRAWS, seed: int = 0) -> Task[Paths]:
    """Measure the gradient of the loss with respect to the first block's input along paths of every length, in fp32.

    The loss is the cross-entropy of the true class, or of the predicted one where labels are missing or do not fit.
    draws: single paths of each length. Every image takes part in all; take a sample of a large set.
    Raises FeatureError if the network is a plain one or has no classifier, DatasetError if no image can be read.
    """
    model.need_classifier()
    network = FastNetwork(model.network, model.spec.preprocessing, torch.float32, device_of(model.network))
    blocks = [block for _, block in network.blocks()]
    if any(block.shortcut_kind == "none" for block in blocks):
        raise FeatureError(f"{model.spec.name} has no shortcuts, so only one path leads through it.")
    if draws < 2:
        raise FeatureError(f"Got {draws} draws. Draw at least 2 paths of each length.")
    chosen = _drawn(len(blocks), draws, seed)  # (n + 1, M, n)
    matched = labels.matched(model.spec, images)
    single, together = np.zeros(chosen.shape[:2]), np.zeros(len(chosen))

    def work(batch: Batch) -> Iterator[float]:
        targets = None if matched is None else torch.from_numpy(matched.classes[batch.rows])
        with torch.inference_mode(False), torch.enable_grad():  # not around a yield, which would leave it with others
            trip = _Trip(network, blocks, batch.pixels, targets, model)
        together[:] += trip.together()
        for length, routes in enumerate(chosen):
            single[length] += [trip.along(route) for route in routes]
            yield (length + 1) / len(chosen)

    size = max(1, batch_size(model.spec.preprocessing) // 2)  # every block keeps its graph
    rows, rejected = yield from through(model, images, work, size)
    n_images = len(rows)
    lengths = np.arange(len(blocks) + 1)
    return Paths(
        lengths, stats.binom.pmf(lengths, len(blocks), 0.5), single / n_images, together / n_images, n_images,
        rejected, {"draws": draws, "seed": seed}, provenance(model, images),
    )  # fmt: skip


def _drawn(n_blocks: int, draws: int, seed: int) -> np.ndarray:
    """(n + 1, M, n) bool: which branches each path takes."""
    random = np.random.default_rng(seed)
    chosen = np.zeros((n_blocks + 1, draws, n_blocks), bool)
    for length in range(n_blocks + 1):
        for path in chosen[length]:
            path[random.choice(n_blocks, length, replace=False)] = True
    return chosen


class _Trip:
    """A batch's way through a network, with every block's graph kept apart, so that gradients can take either side."""

    def __init__(
        self,
        network: FastNetwork,
        blocks: Sequence[ResidualBlock],
        pixels: Tensor,
        targets: Tensor | None,
        model: Model,
    ) -> None:
        device = device_of(network)
        with torch.no_grad():
            x = network.stem(pixels.to(device, memory_format=torch.channels_last))
        self.steps: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []  # input, shortcut, branch, the ReLU's gradient
        for block in blocks:
            source = x.detach().requires_grad_()
            shortcut, branch = block.parts(source)
            total = (shortcut + branch).detach()
            self.steps.append((source, shortcut, branch, (total > 0).to(total.dtype)))
            x = total.relu_()
        classifier = network.classifier
        assert classifier is not None  # `paths` needed it
        logits = finite(classifier(x.mean((2, 3))), model)  # (N, K)
        true = logits.argmax(1) if targets is None else targets.to(device)
        slope = logits.softmax(1)
        slope[torch.arange(len(true), device=device), true] -= 1
        places = x.shape[2] * x.shape[3]
        self.start = (slope @ classifier.weight / places)[:, :, None, None].expand(x.shape)  # (N, C, H, W)

    def along(self, path: np.ndarray) -> float:
        """The sum over images of the gradient's norm along one path; path: (n,) bool, which branches it takes."""
        gradient = self.start
        for (source, shortcut, branch, gate), through_branch in zip(reversed(self.steps), path[::-1], strict=True):
            gradient = _back(branch if through_branch else shortcut, source, gradient * gate)
        return float(gradient.flatten(1).norm(dim=1).sum())

    def together(self) -> np.ndarray:
        """(n + 1,) sums over images of the norms of the gradients summed over all paths of each length."""
        gradients = [self.start]  # by the number of branches passed so far
        for source, shortcut, branch, gate in reversed(self.steps):
            gated = [gradient * gate for gradient in gradients]
            over = [_back(shortcut, source, gradient) for gradient in gated]
            passed = [_back(branch, source, gradient) for gradient in gated]
            gradients = [over[0], *(one + other for one, other in zip(over[1:], passed[:-1], strict=True)), passed[-1]]
        return np.array([float(gradient.flatten(1).norm(dim=1).sum()) for gradient in gradients])


def _back(output: Tensor, source: Tensor, gradient: Tensor) -> Tensor:
    if output is source:  # an identity shortcut
        return gradient
    return torch.autograd.grad(output, source, gradient, retain_graph=True)[0]
