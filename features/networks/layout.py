"""The layers of a residual network as plain records, without PyTorch: what is built, counted and told in words."""

from dataclasses import dataclass
from math import log2, prod
from typing import NamedTuple


@dataclass(frozen=True)
class Layer:
    """Something that an image's maps pass. Those that keep channels and sides have nothing to add."""

    @property
    def parameters(self) -> int:
        """Weights and biases that are learned."""
        return 0

    @property
    def window(self) -> tuple[int, int]:
        """How many pixels of its input one position sees along a side, and the distance between positions."""
        return 1, 1

    def side(self, side: int) -> int:
        """Pixels along a side of what it puts out."""
        return side

    def macs(self, side: int) -> int:
        """Multiply-adds for one image. side: of what it puts out."""
        return 0

    def describe(self) -> str:
        """In words; '' for what need not be told."""
        raise NotImplementedError


@dataclass(frozen=True)
class Conv(Layer):
    """A square convolution. padding: in pixels, None for half of what the kernel spans.

    standardised: whether each filter's weights have their mean taken away and are divided by their standard deviation
    (Qiao et al. 2019, arXiv:1903.10520).
    """

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1
    dilation: int = 1
    padding: int | None = None
    bias: bool = False
    standardised: bool = False

    @property
    def weights(self) -> int:
        return self.outputs * self.inputs // self.groups * self.kernel**2

    @property
    def parameters(self) -> int:
        return self.weights + self.outputs * self.bias

    @property
    def span(self) -> int:
        """Pixels from the first that a position sees to the last, both with it."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def pad(self) -> int:
        return self.span // 2 if self.padding is None else self.padding

    @property
    def window(self) -> tuple[int, int]:
        return self.span, self.stride

    def side(self, side: int) -> int:
        return (side + 2 * self.pad - self.span) // self.stride + 1

    def macs(self, side: int) -> int:
        return self.weights * side**2

    def describe(self) -> str:
        words = [f"conv {self.kernel}x{self.kernel}, {self.inputs}->{self.outputs}"]
        words += [f"stride {self.stride}"] if self.stride > 1 else []
        words += [f"{self.groups} groups"] if self.groups > 1 else []
        words += [f"dilation {self.dilation}"] if self.dilation > 1 else []
        words += [f"padding {self.padding}"] if self.pad != self.span // 2 else []
        words += ["standardised weights"] if self.standardised else []
        return ", ".join(words)


@dataclass(frozen=True)
class Norm(Layer):
    """Normalisation of maps, or of features.

    kind: of maps over the batch ('batch', also where it is frozen), over groups of channels and all of space ('group':
    Wu & He 2018, arXiv:1803.08494), over each channel's own space ('instance': Ulyanov et al. 2016, arXiv:1607.08022)
    or over the channels of each position alone ('channels', as ConvNeXt's: Liu et al. 2022, arXiv:2201.03545); of
    features before a head over all of them ('layer': Ba et al. 2016, arXiv:1607.06450).
    """

    channels: int
    kind: str = "batch"
    groups: int = 1
    epsilon: float = 1e-5

    @property
    def parameters(self) -> int:
        return 2 * self.channels

    def describe(self) -> str:
        words = {"group": f"group norm, {self.groups} groups", "channels": "layer norm over channels"}
        return words.get(self.kind, f"{self.kind} norm")


@dataclass(frozen=True)
class Scale(Layer):
    """Features times a number each plus another: what a batch norm is after training."""

    channels: int

    @property
    def parameters(self) -> int:
        return 2 * self.channels

    def describe(self) -> str:
        return "scale and shift"


@dataclass(frozen=True)
class Scalar(Layer):
    """One learned number for all of a map: a 'bias', which is added, or a 'factor'. start: what it begins as."""

    kind: str
    start: float = 0.0

    @property
    def parameters(self) -> int:
        return 1

    def describe(self) -> str:
        return f"one learned {self.kind}"


@dataclass(frozen=True)
class Linear(Layer):
    """A fully connected layer with a bias, on pooled features."""

    inputs: int
    outputs: int

    @property
    def parameters(self) -> int:
        return (self.inputs + 1) * self.outputs

    def macs(self, side: int) -> int:
        return self.inputs * self.outputs

    def describe(self) -> str:
        return f"fully connected, {self.inputs}->{self.outputs}"


ACTIVATIONS = {
    "relu": "ReLU", "silu": "SiLU", "gelu": "GELU", "leaky_relu": "leaky ReLU", "elu": "ELU", "selu": "SELU",
    "mish": "Mish", "hardswish": "hard swish", "relu6": "ReLU6", "tanh": "tanh", "softplus": "softplus",
}  # fmt: skip


@dataclass(frozen=True)
class Activation(Layer):
    """kind: a name of ACTIVATIONS, which are those of torch.nn.functional."""

    kind: str = "relu"

    def describe(self) -> str:
        return ACTIVATIONS[self.kind]


POOLS = {"max": "max-pool", "average": "average pool", "blur": "blur"}


@dataclass(frozen=True)
class Pool(Layer):
    """A pool over squares of pixels. kind: 'max', 'average', or 'blur' (a binomial filter; the border is mirrored).

    ceil: whether a last, incomplete square counts (an average is then over the pixels that there are).
    zeros: whether a max-pool sees zeros beyond the border, and not nothing.
    """

    kind: str
    kernel: int
    stride: int
    padding: int = 0
    ceil: bool = False
    zeros: bool = False

    @property
    def window(self) -> tuple[int, int]:
        return self.kernel, self.stride

    def side(self, side: int) -> int:
        room = side + 2 * self.padding - self.kernel
        if not self.ceil:
            return room // self.stride + 1
        steps = -(-room // self.stride)
        # The last square begins inside the image or in the padding before it.
        return steps + 1 - (steps * self.stride >= side + self.padding)

    def describe(self) -> str:
        words = f"{POOLS[self.kind]} {self.kernel}x{self.kernel}, stride {self.stride}"
        return words + ", ceil mode" * (self.ceil and self.kind == "max") + ", zeros beyond the border" * self.zeros


@dataclass(frozen=True)
class HeadPool:
    """How a head makes features (D,) of the last stage's maps (C, H, W): over all of space.

    takes: 'average' or 'max' of every channel, or both in this order, one behind the other. mixed: whether both are
    averaged instead (Lee et al. 2016, arXiv:1509.08985). words: for people. timm: what timm calls it, '' where it has
    none.
    """

    takes: tuple[str, ...]
    words: str
    timm: str
    mixed: bool = False

    def features(self, channels: int) -> int:
        """How many it makes of so many channels."""
        return channels if self.mixed else len(self.takes) * channels


AVERAGE = "average"
# By the name that Architecture.head_pool gives it. Of those that make as many features the likeliest comes first.
HEAD_POOLS = {
    AVERAGE: HeadPool(("average",), "global average pool", "avg"),
    "max": HeadPool(("max",), "global max-pool", "max"),
    "mixed": HeadPool(("average", "max"), "mean of global average and max-pool", "avgmax", mixed=True),
    "max-average": HeadPool(("max", "average"), "global max-pool and, behind it, average pool", ""),
    "average-max": HeadPool(("average", "max"), "global average pool and, behind it, max-pool", "catavgmax"),
}


@dataclass(frozen=True)
class Attention(Layer):
    """A gate for every channel, made of all channels' means. width: hidden channels of 'se', taps of 'eca'."""

    kind: str
    channels: int
    width: int

    @property
    def parameters(self) -> int:
        return self.width if self.kind == "eca" else 2 * self.channels * self.width + self.channels + self.width

    def macs(self, side: int) -> int:
        return self.channels * self.width * (1 if self.kind == "eca" else 2)

    def describe(self) -> str:
        if self.kind == "eca":
            return f"efficient channel attention, {self.width} taps"
        return f"squeeze-and-excitation, {self.channels}->{self.width}->{self.channels}"


def attention_width(kind: str, channels: int) -> int:
    """The usual width: a sixteenth of the channels in steps of 8 (se), or an odd number of taps (Wang et al. 2020)."""
    if kind == "eca":
        taps = int(abs(log2(channels) + 1) / 2)
        return max(3, taps + 1 - taps % 2)
    return max(8, int(channels / 16 + 4) // 8 * 8)


class Named(NamedTuple):
    """A layer and what its module is called."""

    name: str
    layer: Layer


Layers = tuple[Named, ...]


@dataclass(frozen=True)
class BlockPlan:
    """The layers of one block.

    stage, index: 'layer1' and 0 for the first. branch: its layers in order. shortcut: 'identity', 'projection' (option
    B), 'padding' (option A) or 'none' (a plain network). projection: a projection's layers, () otherwise; activated:
    whether they come after the branch's first norm and activation, which the two share (pre-activation).
    activation: of the sum, None in pre-activation networks.
    """

    stage: str
    index: int
    branch: Layers
    shortcut: str
    projection: Layers = ()
    activated: bool = False
    activation: Activation | None = Activation()

    @property
    def name(self) -> str:
        return f"{self.stage}.{self.index}"

    @property
    def convs(self) -> tuple[Conv, ...]:
        """The branch's convolutions."""
        return tuple(layer for _, layer in self.branch if isinstance(layer, Conv))

    @property
    def inputs(self) -> int:
        return self.convs[0].inputs

    @property
    def outputs(self) -> int:
        return self.convs[-1].outputs

    @property
    def stride(self) -> int:
        """What the block divides a side by."""
        return prod(layer.window[1] for _, layer in self.branch)
