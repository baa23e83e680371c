"""What a residual network looks like before it has weights: every layer's shape, without PyTorch."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Any

from features.errors import FeatureError
from features.networks import choices, plan
from features.networks.bounds import check
from features.networks.layout import AVERAGE, HEAD_POOLS, BlockPlan, Layers


@dataclass(frozen=True)
class Architecture:
    """Everything that fixes what a residual network computes, but for its weights.

    The first ten fields fix the shapes of its tensors. Of the others `stem_widths`, `stem_norm`, `widened_at`,
    `last_norm`, `norm`, `bias`, `scalars`, `attention` and `attention_widths` show in a file as well. What is left
    leaves no trace in tensors: two networks that differ in it have tensors of the same names and shapes, and compute
    different things (`choices.CHOICES`). All defaults are torchvision's. What is given as it would be by default
    counts as not given, so that networks that compute the same are equal.

    block:       'basic' (two 3x3 convolutions) or 'bottleneck' (1x1, 3x3, 1x1).
    blocks:      how many blocks each stage has.
    inner:       channels of the 3x3 convolutions, per stage.
    outputs:     channels that each stage puts out; equal to `inner` for basic blocks.
    stem:        'imagenet' (7x7), 'cifar' (3x3) or 'deep' (several 3x3, the first with the stride: ResNet-C and -D).
    stem_width:  channels after the stem.
    shortcut:    where the shape changes: 'projection' (option B), 'padding' (option A);
                 'none' for a plain network, which has no shortcut anywhere.
    groups:      groups of the 3x3 convolutions of bottlenecks (ResNeXt).
    in_channels: 3 for RGB, 1 for grey, up to 16 for other planes.
    classes:     width of the classifier, or None for a network without a head.

    stem_widths: channels between the convolutions of a deep stem, () otherwise.
    stem_stride: of the stem's first convolution; None for 2 ('imagenet', 'deep') or 1 ('cifar').
    stem_padding: of the stem's first convolution in pixels; None for half its kernel.
    stem_norm:   whether norm and activation follow the stem; None for yes, but in pre-activation networks.
    stem_pool:   what follows the stem, a name of plan.STEM_POOLS; None for 'max' ('imagenet', 'deep') or 'none'
                 ('cifar'), and with antialias for 'max-blur' or 'average' in the former's place.
    strides:     of each stage's first block; () for 1 in the first stage and 2 in the others.
    dilations:   of each stage's 3x3 convolutions; () for 1 everywhere.
    first_dilation: whether a stage's first block keeps the 'previous' stage's dilation, as in torchvision, or has its
                 'own'.
    widened_at:  which convolution of a basic block that widens does so: the 'first', or the 'last' (fattorib's).
    stride_at:   which convolution of a block has the stride: the 'middle' (a bottleneck's 3x3, torchvision's; the first
                 of a basic block), the 'first' of a bottleneck (the 1x1: He et al. 2015 as Caffe has it, MSRA's
                 weights, detectron2's), or the 'last' of a basic block (meliketoy's Wide ResNets).
    shortcut_padding: where option A puts its zeros: 'both' sides of the old channels or the 'end'.
    shortcut_pool: 'none', or 'average' where a projection follows an average pool that has its stride (ResNet-D).
    shortcut_from: of pre-activation networks: whether projections see the 'activated' input, which the branch's first
                 norm and activation have passed (He et al. 2016), or the 'input'.
    antialias:   'none', or what takes over the stride before a branch's last convolution: 'blur' (a 3x3 binomial
                 filter) or 'average' (2x2; Zhang 2019, arXiv:1904.11486). CLIP's ResNets have 'average'.
    activation:  a name of layout.ACTIVATIONS.
    preactivation: whether norm and activation come before each convolution, and the block's sum is not rectified (He
                 et al. 2016, arXiv:1603.05027).
    last_norm:   whether a norm and an activation follow the last stage; None for yes in pre-activation networks.
    norm:        'batch' (also where it is frozen), 'group', 'layer' (over the channels of each position), 'instance' or
                 'none'. Group, layer and instance norms have the same tensors. norm_groups: of 'group'. epsilon: of the
                 norms.
    bias:        whether convolutions have one, beside their norm.
    standardised: whether convolutions standardise their weights, as BiT's do (Qiao et al. 2019, arXiv:1903.10520).
    scalars:     what a network without norms has in their place: 'none'; 'skipinit', a factor at the end of each branch
                 that begins at 0 (De & Smith 2020, arXiv:2002.10444); 'fixup', a factor there, one bias before and
                 behind each convolution and weights that begin small (Zhang et al. 2019, arXiv:1901.09321).
    attention:   at the end of each branch: 'none', 'se' (Hu et al. 2018, arXiv:1709.01507) or 'eca' (Wang et al. 2020,
                 arXiv:1910.03151).
    attention_widths: per stage, hidden channels of 'se' or taps of 'eca'; () for the usual.
    head_pool:   a name of layout.HEAD_POOLS: how the features that the head takes are made of the last stage's maps. It
                 shows in a file as far as some make twice as many features as there are channels.
    head_start:  what comes before the head's first linear layer: nothing that is not 'linear' (a batch norm is taken
                 into it), a batch norm with an 'activation' behind it, or a 'layer' norm, which shows in a file.
    head_widths: hidden channels of a head of several linear layers, () for one layer. head_activation: in the head.
    builder:     'timm:NAME' of a network that the other fields can only describe, '' otherwise: `canonical.build` has
                 it built there.
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
    stem_norm: bool | None = None
    stem_pool: str | None = None
    strides: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    first_dilation: str = "previous"
    widened_at: str = "first"
    stride_at: str = "middle"
    shortcut_padding: str = "both"
    shortcut_pool: str = "none"
    shortcut_from: str = "activated"
    antialias: str = "none"
    activation: str = "relu"
    preactivation: bool = False
    last_norm: bool | None = None
    norm: str = "batch"
    norm_groups: int = 32
    epsilon: float = 1e-5
    bias: bool = False
    standardised: bool = False
    scalars: str = "none"
    attention: str = "none"
    attention_widths: tuple[int, ...] = ()
    head_pool: str = AVERAGE
    head_start: str = "linear"
    head_widths: tuple[int, ...] = ()
    head_activation: str = "relu"
    builder: str = ""

    def __post_init__(self) -> None:
        """Raises FeatureError, naming the field, for what no network has."""
        check(self)
        for name, usual in self._usual().items():
            if getattr(self, name) == usual:
                object.__setattr__(self, name, _default(name))
        if not self.dilations:
            object.__setattr__(self, "first_dilation", _default("first_dilation"))

    def _usual(self) -> dict[str, Any]:
        """What is meant where a field is None or ()."""
        large = self.stem != "cifar"
        pools = {"none": "max", "blur": "max-blur", "average": "average"}
        return {
            "stem_stride": 2 if large else 1,
            "stem_padding": 3 if self.stem == "imagenet" else 1,
            "stem_norm": not self.preactivation,
            "stem_pool": pools[self.antialias] if large else "none",
            "strides": (1, *(2,) * (len(self.blocks) - 1)),
            "dilations": (1,) * len(self.blocks),
            "last_norm": self.preactivation,
            "attention_widths": plan.attention_widths(self.attention, self.outputs),
        }

    def resolved(self, name: str) -> Any:
        """What a field means: its value, or what it stands for where it is None or ()."""
        value = getattr(self, name)
        return self._usual().get(name, value) if value in (None, ()) else value

    def settings(self) -> dict[str, Any]:
        """The first ten fields, and of the others those that are not as by default: what a file keeps."""
        first = [field.name for field in fields(self)[:10]]
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name in first or getattr(self, field.name) != field.default
        }

    @property
    def depth(self) -> int:
        """Weighted layers on the longest path, as in the networks' names: 18, 50, 20, ..."""
        return sum(self.blocks) * (2 if self.block == "basic" else 3) + 2

    @property
    def features(self) -> int:
        """Channels of the last stage, which the head pools."""
        return self.outputs[-1]

    @property
    def pooled_features(self) -> int:
        """How many features the head makes of them and takes."""
        return HEAD_POOLS[self.head_pool].features(self.features)

    def plan(self) -> Iterator[BlockPlan]:
        """Every block in order."""
        return plan.blocks(self)

    def stem_layers(self) -> Layers:
        """The layers before the first stage."""
        return plan.stem(self)

    def neck_layers(self) -> Layers:
        """The layers between the last stage and the pooling of the head; () but in pre-activation networks."""
        return plan.neck(self)

    def head_layers(self) -> Layers:
        """The layers that make logits of pooled features; () without a head."""
        return plan.head(self)

    def describe(self) -> str:
        """One line for people: 'basic blocks 2-2-2-2, 64-128-256-512 channels, ...'; every choice that is not usual."""
        join = "-".join
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        classes = "no head" if self.classes is None else f"{self.classes} classes"
        widths = "".join(f"->{width}" for width in (*self.stem_widths, self.stem_width))
        unusual = "".join(f", {words}" for words in choices.unusual(self))
        return (
            f"{self.block} blocks {join(map(str, self.blocks))}, inner channels {join(map(str, self.inner))}, "
            f"output channels {join(map(str, self.outputs))}{groups}, {self.stem} stem {self.in_channels}{widths}, "
            f"shortcut '{self.shortcut}'{unusual}, {classes}"
        )


def _default(name: str) -> Any:
    (default,) = (field.default for field in fields(Architecture) if field.name == name)
    assert default is not MISSING
    return default


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
