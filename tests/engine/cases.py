"""Small networks and pictures for the engine's tests, and stand-ins for processors that are not at hand."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.grad import conv2d_input

from features import engine
from features.engine import onednn
from features.networks.architecture import cifar
from features.networks.canonical import ResidualNetwork, build, freeze
from features.networks.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from tests.random_networks import randomise

KINDS = ("padding", "projection", "none")


def network(kind: str = "padding") -> ResidualNetwork:
    return freeze(randomise(build(cifar(14, kind))))


def pixels(number: int = 3, side: int = 32) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (number, 3, side, side), dtype=torch.uint8, generator=random)


def preprocessing(side: int = 32) -> Preprocessing:
    return Preprocessing(side, side, IMAGENET_MEAN, IMAGENET_STD)


def activations(net: ResidualNetwork, batch: Tensor) -> dict[str, np.ndarray]:
    with torch.inference_mode():
        return {name: values.double().numpy() for name, values in net.walk(preprocessing().scaled(batch))}


def on_torch(net: ResidualNetwork, **choices) -> engine.TorchEngine:
    plan = engine.choose(net, **{"precision": "fp32", "device": "cpu", "engine": "torch", **choices})
    return engine.TorchEngine(net, preprocessing(), plan)


def read(net: ResidualNetwork, batch: Tensor, **choices) -> dict[str, np.ndarray]:
    return on_torch(net, **choices)(batch)


def differs(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def subsets(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for size in range(len(names) + 1):
        yield from itertools.combinations(names, size)


def without(missing: tuple[str, ...]) -> Callable[..., bool]:
    """`onednn.has` of a PyTorch that lacks some operations."""
    real = onednn.has
    return lambda kind, dtype, bias=None: kind not in missing and real(kind, dtype, bias)


class _Operation:
    """Called like an operation of torch.ops, with its overload as an attribute."""

    def __init__(self, run: Callable[..., Tensor], binary: Callable[..., Tensor] | None = None) -> None:
        self.run, self.binary = run, binary

    def __call__(self, *values: object) -> Tensor:
        return self.run(*values)


class Xeon:
    """oneDNN's operations as PyTorch 2.14 offers them on processors with bf16: sums in float32, rounded once.

    A convolution takes a float32 bias beside bf16, one that adds another tensor does not. called: what was run.
    """

    def __init__(self) -> None:
        self.called: list[str] = []
        self._convolution_pointwise = _Operation(self._convolve, self._convolve_plus)
        self._convolution_transpose_pointwise = _Operation(self._convolve_back)
        self._reorder_convolution_weight = _Operation(lambda weight, *_: weight.clone())
        self._reorder_convolution_transpose_weight = _Operation(lambda weight, *_: weight.clone())

    def _sum(self, x, weight, bias, padding, stride, dilation, groups):
        bias = None if bias is None else bias.float()
        return torch.nn.functional.conv2d(x.float(), weight.float(), bias, stride, padding, dilation, groups)

    def _convolve(self, x, weight, bias, padding, stride, dilation, groups, *_):
        self.called.append("forward" if bias is None else f"forward, {bias.dtype}")
        return self._sum(x, weight, bias, padding, stride, dilation, groups).to(x.dtype)

    def _convolve_plus(self, x, other, weight, bias, padding, stride, dilation, groups, *_):
        if bias is not None and bias.dtype != x.dtype:
            raise RuntimeError("Input type and bias type should be the same")
        self.called.append("plus")
        return (self._sum(x, weight, bias, padding, stride, dilation, groups) + other.float()).to(x.dtype)

    def _convolve_back(self, gradient, weight, _, padding, left_over, stride, dilation, groups, *__):
        self.called.append("back")
        sides = [
            (side - 1) * step - 2 * pad + gap * (kernel - 1) + 1 + more
            for side, step, pad, gap, kernel, more in zip(
                gradient.shape[2:], stride, padding, dilation, weight.shape[2:], left_over, strict=True
            )
        ]
        shape = (len(gradient), weight.shape[1] * groups, *sides)
        below = conv2d_input(shape, weight.float(), gradient.float(), stride, padding, dilation, groups)
        return below.to(gradient.dtype)
