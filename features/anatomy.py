"""Tells what a network is made of: shapes, layers, parameters, operations and receptive fields."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from features.architecture import Architecture, build
from features.network import ResidualBlock


@dataclass(frozen=True)
class Part:
    """One step of the network: the stem, a block, or the head.

    kind: 'stem', 'basic', 'bottleneck' or 'head'. stage: '' for stem and head.
    inputs, outputs: (C, H, W), or (K,) after the head.
    layers: the branch's (or stem's, head's) layers, as text.
    shortcut: as ResidualBlock.shortcut_kind, '' outside blocks.
    parameters: weights and biases that are learned.
    macs: multiply-adds of convolutions and the classifier for one image.
    receptive_field, stride: side in input pixels of what one output position sees along the longest path, and
        the distance between neighbouring positions; 0 for the head, which sees everything.
    """

    name: str
    stage: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layers: tuple[str, ...]
    shortcut: str
    parameters: int
    macs: int
    receptive_field: int
    stride: int


@dataclass(frozen=True)
class Anatomy:
    """All parts of a network in order, for images of `side` x `side` pixels."""

    parts: tuple[Part, ...]
    side: int

    @property
    def parameters(self) -> int:
        return sum(part.parameters for part in self.parts)

    @property
    def macs(self) -> int:
        """Multiply-adds for one image; papers and torchvision call these FLOPs."""
        return sum(part.macs for part in self.parts)

    @property
    def receptive_field(self) -> int:
        """Side in pixels of what one position before the head sees; it may exceed the image."""
        return max(part.receptive_field for part in self.parts)


@cache
def anatomy(architecture: Architecture, side: int) -> Anatomy:
    """Walk an architecture with an image of `side` pixels; needs no weights and no memory."""
    with torch.device("meta"):
        network = build(architecture).eval()
        x = torch.empty(1, architecture.in_channels, side, side)
    field = _Field()
    parts = []
    with torch.no_grad():
        y, macs = _run(network.stem, x)
        field.see(network.stem)
        parts.append(_part("stem", "", "stem", network.stem, x, y, macs, field))
        for name, block in network.blocks():
            x = y
            y, macs = _run(block.branch, x)
            _, shortcut_macs = _run(block.shortcut, x)
            field.see(block.branch)
            stage = name.split(".")[0]
            parts.append(_part(name, stage, architecture.block, block, x, y, macs + shortcut_macs, field))
        x = y
        y, macs = _run(network.head, x)
        parts.append(_part("head", "", "head", network.head, x, y, macs, _Field(0, 0)))
    return Anatomy(tuple(parts), side)


class _Field:
    """Receptive field and stride, grown layer by layer (Araujo et al. 2019, doi:10.23915/distill.00021)."""

    def __init__(self, side: int = 1, stride: int = 1) -> None:
        self.side, self.stride = side, stride

    def see(self, layers: nn.Sequential) -> None:
        for layer in layers:
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
                kernel, stride = (
                    value[0] if isinstance(value, tuple) else value for value in (layer.kernel_size, layer.stride)
                )
                self.side += (kernel - 1) * self.stride
                self.stride *= stride


def _run(module: nn.Module, x: Tensor) -> tuple[Tensor, int]:
    """The module's output and its multiply-adds."""
    if not isinstance(module, nn.Sequential):
        return module(x), 0  # identity, padding and absent shortcuts multiply nothing
    macs = 0
    for layer in module:
        if not isinstance(layer, nn.BatchNorm2d | nn.ReLU):  # these keep the shape, and are slow without memory
            x = layer(x)
        if isinstance(layer, nn.Conv2d):
            macs += layer.weight.numel() * x.shape[2] * x.shape[3]
        elif isinstance(layer, nn.Linear):
            macs += layer.weight.numel()
    return x, macs


def _part(name: str, stage: str, kind: str, module: nn.Module, x: Tensor, y: Tensor, macs: int, field: _Field) -> Part:
    block = module if isinstance(module, ResidualBlock) else None
    layers = block.branch if block else module
    return Part(
        name=name,
        stage=stage,
        kind=kind,
        inputs=tuple(x.shape[1:]),
        outputs=tuple(y.shape[1:]),
        layers=tuple(text for layer in layers.children() if (text := _describe(layer))),
        shortcut=block.shortcut_kind if block else "",
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        macs=macs,
        receptive_field=field.side,
        stride=field.stride,
    )


def _describe(layer: nn.Module) -> str:
    match layer:
        case nn.Conv2d():
            kernel = "x".join(map(str, layer.kernel_size))
            stride = f", stride {layer.stride[0]}" if layer.stride[0] > 1 else ""
            groups = f", {layer.groups} groups" if layer.groups > 1 else ""
            return f"conv {kernel}, {layer.in_channels}->{layer.out_channels}{stride}{groups}"
        case nn.BatchNorm2d():
            return "batch norm"
        case nn.ReLU():
            return "ReLU"
        case nn.MaxPool2d():
            return f"max-pool {layer.kernel_size}x{layer.kernel_size}, stride {layer.stride}"
        case nn.AdaptiveAvgPool2d():
            return "global average pool"
        case nn.Linear():
            return f"fully connected, {layer.in_features}->{layer.out_features}"
        case _:
            return ""
