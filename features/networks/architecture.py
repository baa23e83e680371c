"""What a residual network looks like before it has weights: every layer's shape, without PyTorch."""

from collections.abc import Iterator
from dataclasses import dataclass

from features.errors import FeatureError

SHORTCUTS = ("projection", "padding", "none")


@dataclass(frozen=True)
class Conv:
    """A square convolution without bias, padded by half its kernel, and the BatchNorm that follows it."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1

    @property
    def weights(self) -> int:
        return self.outputs * self.inputs // self.groups * self.kernel**2


@dataclass(frozen=True)
class BlockPlan:
    """The layers of one block.

    stage, index: 'layer1' and 0 for the first. branch: its convolutions in order.
    shortcut: 'identity', 'projection' (option B), 'padding' (option A) or 'none' (a plain network).
    """

    stage: str
    index: int
    branch: tuple[Conv, ...]
    shortcut: str

    @property
    def name(self) -> str:
        return f"{self.stage}.{self.index}"

    @property
    def whole(self) -> Conv:
        """What the block does to the shape, as the one convolution that a projection is."""
        stride = max(conv.stride for conv in self.branch)
        return Conv(self.branch[0].inputs, self.branch[-1].outputs, 1, stride)


@dataclass(frozen=True)
class Architecture:
    """Everything that fixes what a residual network computes, but for its weights.

    The first ten fields fix the shapes of its tensors. The others leave no trace in them (but for `norm`, `bias`,
    `head_layers` and `attention`): two networks that differ in these have tensors of the same names and shapes, and
    compute different things. Their defaults are torchvision's.

    block:       'basic' (two 3x3 convolutions) or 'bottleneck' (1x1, 3x3, 1x1).
    blocks:      how many blocks each stage has.
    inner:       channels of the 3x3 convolutions, per stage.
    outputs:     channels that each stage puts out; equal to `inner` for basic blocks.
    stem:        'imagenet' (7x7), 'cifar' (3x3) or 'deep' (three 3x3, the first with the stride: ResNet-C and -D).
    stem_width:  channels after the stem.
    shortcut:    where the shape changes: 'projection' (option B), 'padding' (option A);
                 'none' for a plain network, which has no shortcut anywhere.
    groups:      groups of the 3x3 convolutions (ResNeXt).
    in_channels: 3 for RGB, 1 for grey, up to 16 for other planes.
    classes:     width of the classifier, or None for a network without a head.

    stem_widths: channels between the convolutions of a deep stem, () otherwise.
    stem_stride: of the stem's first convolution; None for 2 ('imagenet', 'deep') or 1 ('cifar').
    stem_padding: of the stem's first convolution in pixels; None for half its kernel.
    stem_pool:   what follows the stem: 'max' (3x3, stride 2), 'max-ceil' (the same, with ceil mode), 'average' (2x2,
                 stride 2) or 'none'; None for 'max' ('imagenet', 'deep') or 'none' ('cifar').
    strides:     of each stage's first block; () for 1 in the first stage and 2 in the others.
    dilations:   of each stage's 3x3 convolutions; () for 1 everywhere. As in torchvision, a stage's first block keeps the
                 dilation of the stage before it.
    stride_at:   which convolution of a bottleneck has the stride: 'middle' (the 3x3, torchvision's) or 'first' (the
                 first 1x1: He et al. 2015 as Caffe has it, MSRA's weights, detectron2's).
    shortcut_padding: where option A puts its zeros: 'both' sides of the old channels or the 'end'.
    shortcut_pool: 'none', or 'average' where a projection follows an average pool that has its stride (ResNet-D).
    antialias:   'none', or what takes over the stride behind the 3x3 convolution (in basic blocks the first): 'blur' (a
                 3x3 binomial filter) or 'average' (2x2; Zhang 2019, arXiv:1904.11486). CLIP's ResNets have 'average'.
    activation:  'relu', 'silu', 'leaky' ...: a name of canonical.ACTIVATIONS.
    preactivation: whether norm and activation come before each convolution, the block's sum is not rectified, and a norm
                 and an activation follow the last stage (He et al. 2016, arXiv:1603.05027).
    norm:        'batch' (also where it is frozen) or 'group'; norm_groups: of 'group'.
    bias:        whether convolutions have one, beside their norm.
    attention:   'none', 'se' (Hu et al. 2018, arXiv:1709.01507) or 'eca' (Wang et al. 2020, arXiv:1910.03151) at the end
                 of each branch.
    epsilon:     of the norms.
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
    stem_widths: tuple[int, ...] = ()
    stem_stride: int | None = None
    stem_padding: int | None = None
    stem_pool: str | None = None
    strides: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    stride_at: str = "middle"
    shortcut_padding: str = "both"
    shortcut_pool: str = "none"
    antialias: str = "none"
    activation: str = "relu"
    preactivation: bool = False
    norm: str = "batch"
    norm_groups: int = 32
    bias: bool = False
    attention: str = "none"
    epsilon: float = 1e-5

    @property
    def depth(self) -> int:
        """Weighted layers on the longest path, as in the networks' names: 18, 50, 20, ..."""
        return sum(self.blocks) * (2 if self.block == "basic" else 3) + 2

    @property
    def stem_conv(self) -> Conv:
        """The first convolution; a 3x3 max-pool of stride 2 follows it in the 'imagenet' stem."""
        kernel, stride = (7, 2) if self.stem == "imagenet" else (3, 1)
        return Conv(self.in_channels, self.stem_width, kernel, stride)

    @property
    def features(self) -> int:
        """Channels of the last stage, which the head pools."""
        return self.outputs[-1]

    def plan(self) -> Iterator[BlockPlan]:
        """Every block in order."""
        channels = self.stem_width
        for number, n_blocks in enumerate(self.blocks):
            for index in range(n_blocks):
                stride = 2 if index == 0 and number > 0 else 1
                yield self._block(number, index, channels, stride)
                channels = self.outputs[number]

    def _block(self, number: int, index: int, channels: int, stride: int) -> BlockPlan:
        inner, output = self.inner[number], self.outputs[number]
        if self.block == "basic":
            branch: tuple[Conv, ...] = (Conv(channels, inner, 3, stride), Conv(inner, output, 3))
        else:
            # The stride sits in the 3x3 convolution, as in torchvision ("ResNet v1.5").
            branch = (Conv(channels, inner, 1), Conv(inner, inner, 3, stride, self.groups), Conv(inner, output, 1))
        same_shape = stride == 1 and channels == output
        shortcut = "identity" if same_shape and self.shortcut != "none" else self.shortcut
        return BlockPlan(f"layer{number + 1}", index, branch, shortcut)

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
