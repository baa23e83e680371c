"""Tells what a network is made of: shapes, layers, parameters, operations and receptive fields."""

from dataclasses import dataclass
from functools import cache

from features.networks.architecture import Architecture, BlockPlan, Conv


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
    """Walk an architecture with an image of `side` pixels; needs neither weights nor PyTorch."""
    walk = _Walk(architecture.in_channels, side)
    parts = [walk.stem(architecture)]
    parts += [walk.block(plan, architecture.block) for plan in architecture.plan()]
    parts.append(walk.head(architecture.classes))
    return Anatomy(tuple(parts), side)


class _Walk:
    """What one part hands to the next: the shape, and how far a position of it sees.

    Receptive field and stride grow layer by layer (Araujo et al. 2019, doi:10.23915/distill.00021).
    """

    def __init__(self, channels: int, side: int) -> None:
        self.channels, self.side = channels, side
        self.field = self.stride = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.side, self.side

    def stem(self, architecture: Architecture) -> Part:
        inputs, conv = self.shape, architecture.stem_conv
        macs = self._convolve(conv)
        layers = [_describe(conv), "batch norm", "ReLU"]
        if architecture.stem == "imagenet":
            self._slide(3, 2)
            layers.append("max-pool 3x3, stride 2")
        return Part(
            "stem", "", "stem", inputs, self.shape, tuple(layers), "", _parameters(conv), macs, self.field, self.stride
        )

    def block(self, plan: BlockPlan, kind: str) -> Part:
        inputs = self.shape
        macs = sum(self._convolve(conv) for conv in plan.branch)
        parameters = sum(map(_parameters, plan.branch))
        if plan.shortcut == "projection":
            macs += plan.whole.weights * self.side**2
            parameters += _parameters(plan.whole)
        layers = [text for conv in plan.branch for text in (_describe(conv), "batch norm", "ReLU")][:-1]
        return Part(
            plan.name,
            plan.stage,
            kind,
            inputs,
            self.shape,
            tuple(layers),
            plan.shortcut,
            parameters,
            macs,
            self.field,
            self.stride,
        )

    def head(self, classes: int | None) -> Part:
        if classes is None:
            return Part("head", "", "head", self.shape, (self.channels,), ("global average pool",), "", 0, 0, 0, 0)
        weights = self.channels * classes
        layers = ("global average pool", f"fully connected, {self.channels}->{classes}")
        return Part("head", "", "head", self.shape, (classes,), layers, "", weights + classes, weights, 0, 0)

    def _convolve(self, conv: Conv) -> int:
        """Go through a convolution; its multiply-adds."""
        self._slide(conv.kernel, conv.stride)
        self.channels = conv.outputs
        return conv.weights * self.side**2

    def _slide(self, kernel: int, stride: int) -> None:
        """Go through a window that is padded by half its side."""
        self.side = (self.side - 1) // stride + 1
        self.field += (kernel - 1) * self.stride
        self.stride *= stride


def _parameters(conv: Conv) -> int:
    """A convolution's weights, and scale and shift of the BatchNorm after it."""
    return conv.weights + 2 * conv.outputs


def _describe(conv: Conv) -> str:
    stride = f", stride {conv.stride}" if conv.stride > 1 else ""
    groups = f", {conv.groups} groups" if conv.groups > 1 else ""
    return f"conv {conv.kernel}x{conv.kernel}, {conv.inputs}->{conv.outputs}{stride}{groups}"
