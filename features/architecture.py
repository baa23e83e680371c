"""What a residual network looks like before it has weights, and how it is built."""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from features.errors import FeatureError
from features.network import (
    NoShortcut,
    PaddedShortcut,
    ResidualBlock,
    ResidualNetwork,
    make_branch,
    make_head,
)

STEMS = ("imagenet", "cifar")
SHORTCUTS = ("projection", "padding", "none")


@dataclass(frozen=True)
class Architecture:
    """Everything that fixes the shapes of a residual network.

    block:       'basic' (two 3x3 convolutions) or 'bottleneck' (1x1, 3x3, 1x1).
    blocks:      how many blocks each stage has.
    inner:       channels of the 3x3 convolutions, per stage.
    outputs:     channels that each stage puts out; equal to `inner` for basic blocks.
    stem:        'imagenet' (7x7 stride 2, max-pool) or 'cifar' (3x3).
    stem_width:  channels after the stem.
    shortcut:    where the shape changes: 'projection' (option B), 'padding' (option A);
                 'none' for a plain network, which has no shortcut anywhere.
    groups:      groups of the 3x3 convolutions (ResNeXt).
    in_channels: 3 for RGB, 1 for grey.
    classes:     width of the classifier, or None for a network without a head.
    """

    block: str
    blocks: tuple[int, ...]
    inner: tuple[int, ...]
    outputs: tuple[int, ...]
    stem: str
    stem_width: int
    shortcut: str = "projection"
    groups: int = 1
    in_channels: int = 3
    classes: int | None = 1000

    @property
    def depth(self) -> int:
        """Weighted layers on the longest path, as in the networks' names: 18, 50, 20, ..."""
        return sum(self.blocks) * (2 if self.block == "basic" else 3) + 2

    def describe(self) -> str:
        """One line for people: 'basic blocks 2-2-2-2, 64-128-256-512 channels, ...'."""
        join = "-".join
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        classes = "no head" if self.classes is None else f"{self.classes} classes"
        return (
            f"{self.block} blocks {join(map(str, self.blocks))}, inner channels {join(map(str, self.inner))}, "
            f"output channels {join(map(str, self.outputs))}{groups}, {self.stem} stem {self.in_channels}->"
            f"{self.stem_width}, shortcut '{self.shortcut}', {classes}"
        )


def imagenet(
    block: str,
    blocks: tuple[int, ...],
    groups: int = 1,
    width_per_group: int = 64,
    classes: int | None = 1000,
) -> Architecture:
    """A four-stage network as torchvision has it: of He et al. 2015 table 1, ResNeXt or Wide ResNet.

    groups: ResNeXt's cardinality (Xie et al. 2017, arXiv:1611.05431).
    width_per_group: channels of each group in the first stage's 3x3 convolutions; 128 in one group makes a
        Wide ResNet (Zagoruyko & Komodakis 2016, arXiv:1605.07146).
    """
    planes = (64, 128, 256, 512)
    inner = tuple(width * width_per_group // 64 * groups for width in planes)
    outputs = planes if block == "basic" else tuple(4 * width for width in planes)
    return Architecture(block, blocks, inner, outputs, "imagenet", 64, groups=groups, classes=classes)


def cifar(depth: int, shortcut: str = "padding", in_channels: int = 3, classes: int = 10) -> Architecture:
    """A three-stage network of He et al. 2015 section 4.2: 6n+2 layers, 16, 32 and 64 channels.

    shortcut: 'padding' (option A, the paper's choice), 'projection' (option B) or 'none' (the plain network).
    Raises FeatureError if depth is not 6n+2.
    """
    if depth < 8 or (depth - 2) % 6:
        raise FeatureError(f"CIFAR ResNets have 6n+2 layers (8, 14, 20, 32, 44, 56, 110, ...), but got depth {depth}.")
    widths = (16, 32, 64)
    blocks = ((depth - 2) // 6,) * 3
    return Architecture(
        "basic", blocks, widths, widths, "cifar", 16, shortcut, in_channels=in_channels, classes=classes
    )


def build(architecture: Architecture) -> ResidualNetwork:
    """A new network with He initialisation (He et al. 2015, arXiv:1502.01852), in train mode.

    Draws from torch's global generator, as torch's own layers do; build under `torch.device("meta")` to get
    shapes without memory.
    """
    stages = {}
    channels = architecture.stem_width
    for number, n_blocks in enumerate(architecture.blocks):
        blocks = []
        for index in range(n_blocks):
            stride = 2 if index == 0 and number > 0 else 1
            blocks.append(_make_block(architecture, number, channels, stride))
            channels = architecture.outputs[number]
        stages[f"layer{number + 1}"] = blocks
    fc = None if architecture.classes is None else nn.Linear(channels, architecture.classes)
    network = ResidualNetwork(_make_stem(architecture), stages, make_head(fc))
    _initialise(network)
    return network


def _make_stem(architecture: Architecture) -> nn.Sequential:
    width = architecture.stem_width
    large = architecture.stem == "imagenet"
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    kernel, stride = (7, 2) if large else (3, 1)
    layers["conv1"] = _conv(architecture.in_channels, width, kernel, stride)
    layers["bn1"] = nn.BatchNorm2d(width)
    layers["relu"] = nn.ReLU()
    if large:
        layers["maxpool"] = nn.MaxPool2d(3, stride=2, padding=1)
    return nn.Sequential(layers)


def _make_block(architecture: Architecture, number: int, channels: int, stride: int) -> ResidualBlock:
    inner, output = architecture.inner[number], architecture.outputs[number]
    if architecture.block == "basic":
        convs = [_conv(channels, inner, 3, stride), _conv(inner, output, 3)]
    else:
        # The stride sits in the 3x3 convolution, as in torchvision ("ResNet v1.5").
        convs = [
            _conv(channels, inner, 1),
            _conv(inner, inner, 3, stride, architecture.groups),
            _conv(inner, output, 1),
        ]
    branch = make_branch([(conv, nn.BatchNorm2d(conv.out_channels)) for conv in convs])
    return ResidualBlock(_make_shortcut(architecture.shortcut, channels, output, stride), branch, nn.ReLU())


def _make_shortcut(kind: str, channels: int, output: int, stride: int) -> nn.Module:
    if kind == "none":
        return NoShortcut(output, stride)
    if stride == 1 and channels == output:
        return nn.Identity()
    if kind == "padding":
        return PaddedShortcut(channels, output, stride)
    return nn.Sequential(_conv(channels, output, 1, stride), nn.BatchNorm2d(output))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.device != torch.device("meta"):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
