"""Compares what a network's norms are given with what they were given in training.

BatchNorm keeps the mean and variance of its inputs over the training images. Run under the settings of its training, a
network's layers have nearly these again on any images of the same kind; under other strides, pools or pixels they do
not. So the statistics say which of several ways to take a file is the one in which its network was trained.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from features.networks.canonical import ResidualBlock, ResidualNetwork

SMALLEST = 1e-8  # variance


@dataclass(frozen=True, eq=False)
class Trace:
    """A run through the stem and the stages.

    outputs: what the stem and each stage put out, (N, C, H, W). divergences: of each of these parts, how far its norms'
    inputs are from their running statistics, in nats: the median over channels of the Kullback-Leibler divergence of
    the batch's normal distribution from the running one. whole: whether it got to the end.
    """

    outputs: tuple[Tensor, ...]
    divergences: tuple[tuple[float, ...], ...]
    whole: bool = True

    @property
    def nats(self) -> float:
        """The mean over norms, of a run that got to the end; else at least that."""
        values = [value for part in self.divergences for value in part]
        return sum(values) / len(values) if values else float("nan")


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """The batch norms that keep statistics."""
    found = (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    return [norm for norm in found if norm.running_mean is not None and norm.running_var is not None]


def has_statistics(network: ResidualNetwork) -> bool:
    """Whether running statistics are there to compare with: not where they were folded away (mean 0, variance 1)."""
    return not all(
        torch.all(cast(Tensor, norm.running_mean) == 0) and torch.all((cast(Tensor, norm.running_var) - 1).abs() < 1e-3)
        for norm in norms(network)
    )


@torch.inference_mode()
def run(network: ResidualNetwork, pixels: Tensor, worst: float = float("inf"), begun: Trace | None = None) -> Trace:
    """Run a batch (N, C, S, S), scaled, through a network in eval mode and compare at every BatchNorm.

    worst: nats at which the run is given up. begun: the stem and the first stages of another run, which are the same.
    """
    limit = worst * len(norms(network))
    outputs = list(begun.outputs) if begun else []
    divergences = [list(part) for part in begun.divergences] if begun else []
    x = outputs[-1] if outputs else pixels
    for part in [network.stem, *network.stages.values()][len(outputs) :]:
        divergences.append([])
        for norm, given, made in _through(part, x):
            x = made
            if norm is not None:
                divergences[-1].append(_divergence(norm, given))
                if sum(value for values in divergences for value in values) > limit:
                    return Trace(tuple(outputs), tuple(map(tuple, divergences)), whole=False)
        outputs.append(x)
    return Trace(tuple(outputs), tuple(map(tuple, divergences)))


Seen = tuple[nn.BatchNorm2d | None, Tensor, Tensor]  # a norm, what it is given, what its part has put out by then


def _through(module: nn.Module, x: Tensor) -> Iterator[Seen]:
    """Every BatchNorm of a part with what it is given, in order; the last one's third is what the part puts out."""
    if isinstance(module, ResidualBlock):
        shortcut = branch = x
        for norm, given, shortcut in _through(module.shortcut, x):
            yield norm, given, shortcut
        for norm, given, branch in _through(module.branch, x):
            yield norm, given, branch
        yield None, x, module.activation(shortcut + branch)
    elif isinstance(module, nn.Sequential) and len(module):
        for layer in module:
            for norm, given, made in _through(layer, x):
                yield norm, given, made
                x = made
    else:
        yield module if isinstance(module, nn.BatchNorm2d) else None, x, module(x)


def _divergence(norm: nn.BatchNorm2d, given: Tensor) -> float:
    """Median over channels of KL(batch || running) in nats, for x (N, C, H, W)."""
    variance, mean = (values.double() for values in torch.var_mean(given, (0, 2, 3), correction=0))  # (C,)
    variance = variance.clamp_min(SMALLEST)
    wanted_mean = cast(Tensor, norm.running_mean).double()
    wanted = cast(Tensor, norm.running_var).double().clamp_min(SMALLEST)
    nats = 0.5 * ((wanted / variance).log() + (variance + (mean - wanted_mean) ** 2) / wanted - 1)
    middle = nats.median()
    return float(middle) if torch.isfinite(middle) else float("inf")


def scaled_batch(pictures: Sequence, preprocessing) -> Tensor:  # a Preprocessing; it imports no PyTorch
    """(N, C, S, S) of some pictures, as a network is given them."""
    return torch.stack([preprocessing(picture) for picture in pictures])
