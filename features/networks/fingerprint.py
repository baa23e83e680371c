"""Compares what a network's norms are given with what they were given in training.

BatchNorm keeps the mean and variance of its inputs over the training images. Run under the settings of its training, a
network's layers have nearly these again on any images of the same kind; under other strides, pools or pixels they do
not. So the statistics say which of several ways to take a file is the one in which its network was trained.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from features.networks.canonical import ResidualBlock, ResidualNetwork

IMAGES = 8  # as many tell as much as 200 do
SMALLEST = 1e-8  # variance


@dataclass(frozen=True, eq=False)
class Fit:
    """How far each norm's inputs are from its running statistics, in nats.

    layers: the norms' names in order. divergences: (L,) the median over channels of the Kullback-Leibler divergence of
    the batch's normal distribution from the running one.
    """

    layers: tuple[str, ...]
    divergences: np.ndarray

    @property
    def nats(self) -> float:
        """The mean over layers; infinite where a layer puts out no numbers."""
        return float(self.divergences.mean()) if len(self.divergences) else float("nan")


def has_statistics(network: ResidualNetwork) -> bool:
    """Whether running statistics are there to compare with: not where they were folded away (mean 0, variance 1)."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return any(
        norm.running_mean is not None
        and norm.running_var is not None
        and not (torch.all(norm.running_mean == 0) and torch.all((norm.running_var - 1).abs() < 1e-3))
        for norm in norms
    )


@torch.inference_mode()
def fit(network: ResidualNetwork, pixels: Tensor) -> Fit:
    """Run a batch (N, C, S, S), scaled, through a network in eval mode and compare at every BatchNorm."""
    layers, values = [], []
    for name, norm, given in _walk(network, pixels):
        layers.append(name)
        values.append(_divergence(norm, given))
    return Fit(tuple(layers), np.array(values))


def _walk(network: ResidualNetwork, x: Tensor) -> Iterator[tuple[str, nn.BatchNorm2d, Tensor]]:
    """Every BatchNorm with what it is given, on the way up; the head is not run."""
    x = yield from _through("stem", network.stem, x)
    for name, block in network.blocks():
        x = yield from _through_block(name, block, x)


def _through_block(
    name: str, block: ResidualBlock, x: Tensor
) -> Iterator[tuple[str, nn.BatchNorm2d, Tensor]]:  # and returns the block's output
    shortcut = yield from _through(f"{name}.shortcut", block.shortcut, x)
    branch = yield from _through(f"{name}.branch", block.branch, x)
    return block.activation(shortcut + branch)


def _through(name: str, module: nn.Module, x: Tensor) -> Iterator[tuple[str, nn.BatchNorm2d, Tensor]]:
    if isinstance(module, nn.Sequential):
        for part, layer in module.named_children():
            x = yield from _through(f"{name}.{part}", layer, x)
        return x
    if isinstance(module, nn.BatchNorm2d):
        yield name, module, x
    return module(x)


def _divergence(norm: nn.BatchNorm2d, given: Tensor) -> float:
    """Median over channels of KL(batch || running) in nats, for x (N, C, H, W)."""
    values = given.double()
    mean = values.mean((0, 2, 3))  # (C,)
    variance = values.var((0, 2, 3), unbiased=False).clamp_min(SMALLEST)
    wanted_mean = cast(Tensor, norm.running_mean).double()
    wanted = cast(Tensor, norm.running_var).double().clamp_min(SMALLEST)
    nats = 0.5 * ((wanted / variance).log() + (variance + (mean - wanted_mean) ** 2) / wanted - 1)
    middle = nats.median()
    return float(middle) if torch.isfinite(middle) else float("inf")


def scaled_batch(pictures: Sequence, preprocessing) -> Tensor:  # a Preprocessing; it imports no PyTorch
    """(N, C, S, S) of some pictures, as a network is given them."""
    return torch.stack([preprocessing(picture) for picture in pictures[:IMAGES]])
