"""Compares what a network's norms are given with what they were given in training.

BatchNorm keeps the mean and variance of its inputs over the training images. Run under the settings of its training, a
network's layers have nearly these again on any images of the same kind; under other strides, pools or pixels they do
not. So the statistics say which of several ways to take a file is the one in which its network was trained.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from features.networks.canonical import ResidualBlock, ResidualNetwork

SMALLEST = 1e-8  # variance
# A run is given up after SOME norms where it is FAR times as many nats away as a better one, which has CLOSE at least.
SOME, FAR, CLOSE = 4, 8.0, 0.005
KEPT = 0.8  # of the channels
ENOUGH = 28  # places along a side, at least, that are looked at


@dataclass(frozen=True, eq=False)
class Observed:
    """What a norm was given: the mean and the variance over places of each image and channel, (N, C) float64."""

    norm: nn.BatchNorm2d
    means: np.ndarray
    variances: np.ndarray

    @cached_property
    def nats(self) -> float:
        """How far this is from the norm's running statistics: the mean over most channels.

        The fifth of the channels that are farthest is left out, since some channels are given nearly nothing; more
        would hide what concerns only those that a shortcut fills.

        The Kullback-Leibler divergence of the batch's normal distribution from the running one, less what it is
        expected to be by chance alone, since the images are few: the variances of the batch's mean and variance are
        estimated from the differences between images.
        """
        n_images, mean = len(self.means), self.means.mean(0)  # (C,)
        wanted_mean, wanted = _running(self.norm)
        with np.errstate(all="ignore"):  # what is no number is far
            moments = self.variances + (self.means - mean) ** 2 * n_images / (n_images - 1)  # (N, C), about the mean
            variance = moments.mean(0).clip(SMALLEST)
            ratio = variance / wanted
            nats = 0.5 * ((mean - wanted_mean) ** 2 / wanted + ratio - 1 - np.log(ratio))
            chance = self.means.var(0, ddof=1) / wanted + 0.5 * moments.var(0, ddof=1) / variance**2
            kept = np.sort(nats - 0.5 * chance / n_images)[: max(1, round(KEPT * len(nats)))]
            mean_nats = float(kept.mean())
        return max(0.0, mean_nats) if np.isfinite(mean_nats) else float("inf")

    def with_images(self, other: "Observed") -> "Observed":
        """With what the norm was given of further images."""
        return Observed(
            self.norm, np.concatenate([self.means, other.means]), np.concatenate([self.variances, other.variances])
        )  # fmt: skip

    def with_places(self, other: "Observed") -> "Observed":
        """With what it was given of the same images at as many other places."""
        apart = (self.means - other.means) / 2
        variances = (self.variances + other.variances) / 2 + apart**2
        return Observed(self.norm, (self.means + other.means) / 2, variances)


@dataclass(frozen=True, eq=False)
class Trace:
    """A run through the stem and the stages.

    outputs: what the stem and each stage put out, (N, C, H, W); () where nothing begins with them. parts: what the
    norms of each of these were given. whole: whether it got to the end.
    """

    outputs: tuple[Tensor, ...]
    parts: tuple[tuple[Observed, ...], ...]
    whole: bool = True

    @property
    def values(self) -> list[float]:
        """How far every norm is from its statistics, in nats."""
        return [each.nats for part in self.parts for each in part]

    @property
    def nats(self) -> float:
        """The mean over norms, of a run that was given up over those that it came to."""
        values = self.values
        return sum(values) / len(values) if values else float("nan")

    def with_images(self, other: "Trace") -> "Trace":
        """The run of these and of further images, both to the same layer."""
        pairs = [zip(mine, theirs, strict=True) for mine, theirs in zip(self.parts, other.parts, strict=True)]
        parts = tuple(tuple(mine.with_images(theirs) for mine, theirs in pair) for pair in pairs)
        return Trace((), parts, self.whole and other.whole)

    def with_places(self, other: "Trace", begin: int) -> "Trace":
        """With what another run of the same images gave norms at as many other places, from part `begin` on."""
        pairs = zip(self.parts[begin:], other.parts[begin:], strict=False)
        parts = [tuple(a.with_places(b) for a, b in zip(*pair, strict=False)) for pair in pairs]  # as far as both go
        return Trace((), (*self.parts[:begin], *parts), other.whole)

    def until(self, parts: int) -> "Trace":
        """Its first parts."""
        return Trace(self.outputs[:parts], self.parts[:parts])


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """The batch norms that keep statistics."""
    batch_norms = (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    return [norm for norm in batch_norms if norm.running_mean is not None and norm.running_var is not None]


def has_statistics(network: ResidualNetwork) -> bool:
    """Whether running statistics are there to compare with: not where they were folded away (mean 0, variance 1)."""
    return not all(
        torch.all(cast(Tensor, norm.running_mean) == 0) and torch.all((cast(Tensor, norm.running_var) - 1).abs() < 1e-3)
        for norm in norms(network)
    )


@torch.inference_mode()
def run(
    network: ResidualNetwork, pixels: Tensor, best: Sequence[float] | None = None, begun: Trace | None = None
) -> Trace:
    """Run a batch (N, C, S, S), scaled, through a network in eval mode and compare at every BatchNorm.

    best: the divergences of a run that fits better; this one is given up where it is far behind. begun: the stem and
    the first stages of another run, which are the same.
    """
    passed = len(begun.values) if begun else 0
    outputs = list(begun.outputs) if begun else []
    parts = [list(part) for part in begun.parts] if begun else []
    values: list[float] = []  # of what is not begun
    x = outputs[-1] if outputs else pixels
    for part in [network.stem, *network.stages.values()][len(outputs) :]:
        parts.append([])
        for norm, given, made in _through(part, x):
            x = made
            if norm is not None:
                parts[-1].append(observed(norm, given))
                values.append(parts[-1][-1].nats)
                if best is not None and _is_far(values, best[passed:]):
                    return Trace(tuple(outputs), tuple(map(tuple, parts)), whole=False)
        outputs.append(x)
    return Trace(tuple(outputs), tuple(map(tuple, parts)))


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


def _is_far(values: Sequence[float], best: Sequence[float]) -> bool:
    """Whether a run is so far behind a better one, on some layers that it has passed, that the rest tells nothing."""
    if len(values) < min(SOME, len(best)):
        return False
    mean, other = (sum(each) / len(values) for each in (values, best[: len(values)]))
    return not mean < FAR * max(other, CLOSE)


def observed(norm: nn.BatchNorm2d, given: Tensor) -> Observed:
    """Of N images' (N, C, H, W) what is compared with a norm's statistics."""
    step = max(1, min(given.shape[2:]) // ENOUGH)
    places = given[:, :, ::step, ::step].permute(0, 2, 3, 1).flatten(1, 2)  # (N, P, C); neighbours say nearly the same
    share = places.new_full((len(places), 1, places.shape[1]), 1 / places.shape[1])
    means = share @ places  # (N, 1, C)
    variances = share @ (places - means).square()
    return Observed(norm, *(each[:, 0].double().cpu().numpy() for each in (means, variances)))


def _running(norm: nn.BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
    """A norm's running mean and variance, (C,) float64."""
    mean, variance = (cast(Tensor, each).double().cpu().numpy() for each in (norm.running_mean, norm.running_var))
    return mean, variance.clip(SMALLEST)


def rotate_kernels(network: ResidualNetwork) -> ResidualNetwork:
    """The same network with new kernels, rotated by 180 degrees.

    Where paddings are the same on all sides and strides are 1, it makes of a rotated image what the network makes of
    the image, rotated. A stride of 2 takes the other places of a side that is even: from the other end.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1:
            module.weight = nn.Parameter(module.weight.flip(2, 3), requires_grad=False)
    return network


def rotated(x: Tensor) -> Tensor:
    """(N, C, H, W) by 180 degrees."""
    return x.flip(2, 3)


def scaled_batch(pictures: Sequence, preprocessing) -> Tensor:  # a Preprocessing; it imports no PyTorch
    """(N, C, S, S) of some pictures, as a network is given them; channels last, in which convolutions are faster."""
    batch = torch.stack([preprocessing(picture) for picture in pictures])
    return batch.contiguous(memory_format=torch.channels_last)
