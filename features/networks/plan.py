"""Lays out the layers of an architecture: its stem, its blocks, and what its head does before it pools."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from features.networks.layout import (
    Activation,
    Attention,
    BlockPlan,
    Conv,
    Layer,
    Layers,
    Linear,
    Named,
    Norm,
    Pool,
    Scalar,
    Scale,
    attention_width,
)

if TYPE_CHECKING:
    from features.networks.architecture import Architecture


def stem(network: "Architecture") -> Layers:
    """The first convolution or convolutions, norm, activation and pool."""
    widths = (network.in_channels, *network.stem_widths, network.stem_width)
    kernel = 7 if network.stem == "imagenet" else 3
    layers: list[Named] = []
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        first = number == 0
        conv = _conv(network, inputs, outputs, kernel, network.resolved("stem_stride") if first else 1,
                     padding=network.stem_padding if first else None)  # fmt: skip
        if number < len(network.stem_widths):  # all in one Sequential, as timm and others number them
            layers += [Named(f"conv1.{3 * number}", conv), *_norm(network, f"conv1.{3 * number + 1}", outputs)]
            layers.append(Named(f"conv1.{3 * number + 2}", Activation(network.activation)))
        else:
            layers.append(Named(f"conv1.{3 * number}" if network.stem_widths else "conv1", conv))
    if network.resolved("stem_norm"):
        layers += [*_norm(network, "bn1", network.stem_width), *_shift(network, "bias1")]
        layers.append(Named("relu", Activation(network.activation)))
    return (*layers, *STEM_POOLS[network.resolved("stem_pool")](network))


def _max(_: "Architecture") -> Layers:
    return (Named("maxpool", Pool("max", 3, 2, 1)),)


def _blurred(_: "Architecture") -> Layers:
    return Named("maxpool.0", Pool("max", 3, 1, 1)), Named("maxpool.1", Pool("blur", 3, 2, 1))


def _convolved(network: "Architecture") -> Layers:
    conv = _conv(network, network.stem_width, network.stem_width, 3, 2)
    norm = _norm(network, "maxpool.1", network.stem_width)
    return Named("maxpool.0", conv), *norm, Named("maxpool.2", Activation(network.activation))


# What follows the stem's convolutions, by the name that Architecture.stem_pool gives it.
STEM_POOLS = {
    "max": _max,
    "max-ceil": lambda _: (Named("maxpool", Pool("max", 3, 2, 1, ceil=True)),),
    "max-caffe": lambda _: (Named("maxpool", Pool("max", 3, 2, ceil=True)),),
    "max-zeros": lambda _: (Named("maxpool", Pool("max", 3, 2, 1, zeros=True)),),
    "max-blur": _blurred,
    "average": lambda _: (Named("maxpool", Pool("average", 2, 2)),),
    "conv": _convolved,
    "none": lambda _: (),
}


def neck(network: "Architecture") -> Layers:
    """What lies between the last stage and the pooling of the head: norm and activation of pre-activation networks."""
    if not network.resolved("last_norm"):
        return ()
    return (*_norm(network, "norm", network.features), Named("relu", Activation(network.activation)))


def head(network: "Architecture") -> Layers:
    """The linear layers of the head with an activation between each two, and what comes before; () without a head."""
    if network.classes is None:
        return ()
    widths = (network.pooled_features, *network.head_widths, network.classes)
    layers: list[Layer] = []
    if network.head_start == "layer":
        layers.append(Norm(network.pooled_features, "layer"))
    elif network.head_start == "activation":
        layers += [Scale(network.pooled_features), Activation(network.head_activation)]
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        layers += [Activation(network.head_activation)] if number else []
        layers.append(Linear(inputs, outputs))
    if len(layers) == 1:
        return (Named("fc", layers[0]),)
    return tuple(Named(f"fc.{number}", layer) for number, layer in enumerate(layers))  # in one Sequential


def blocks(network: "Architecture") -> Iterator[BlockPlan]:
    """Every block in order."""
    channels, before = network.stem_width, 1
    for number, n_blocks in enumerate(network.blocks):
        own = network.resolved("dilations")[number]
        for index in range(n_blocks):
            first = index == 0
            dilation = before if first and network.first_dilation == "previous" else own
            stride = network.resolved("strides")[number] if first else 1
            yield _block(network, number, index, channels, stride, (dilation, own))
            channels = network.outputs[number]
        before = own


def _block(
    network: "Architecture", number: int, index: int, channels: int, stride: int, dilations: tuple[int, int]
) -> BlockPlan:
    output = network.outputs[number]
    filters: Layers = ()
    if network.antialias != "none" and (stride > 1 or dilations[0] != dilations[1]):
        filters = (Named("aa", _filter(network, stride)),)
    convs = list(_convs(network, number, channels, 1 if filters else stride, dilations))
    same_shape = stride == 1 and channels == output
    shortcut = "identity" if same_shape and network.shortcut != "none" else network.shortcut
    projects = shortcut == "projection"
    return BlockPlan(
        stage=f"layer{number + 1}",
        index=index,
        branch=(*_branch(network, convs, filters), *_attention(network, number), *_factor(network)),
        shortcut=shortcut,
        projection=_projection(network, channels, output, stride) if projects else (),
        activated=projects and network.preactivation and network.shortcut_from == "activated",
        activation=None if network.preactivation else Activation(network.activation),
    )


def _convs(
    network: "Architecture", number: int, channels: int, stride: int, dilations: tuple[int, int]
) -> Iterator[Conv]:
    inner, output = network.inner[number], network.outputs[number]
    if network.block == "basic":
        inner = channels if network.widened_at == "last" else inner
        late = network.stride_at == "last"
        yield _conv(network, channels, inner, 3, 1 if late else stride, dilation=dilations[0])
        yield _conv(network, inner, output, 3, stride if late else 1, dilation=dilations[1])
    else:
        early = network.stride_at == "first"
        yield _conv(network, channels, inner, 1, stride if early else 1)
        yield _conv(network, inner, inner, 3, 1 if early else stride, network.groups, dilations[0])
        yield _conv(network, inner, output, 1)


def _branch(network: "Architecture", convs: list[Conv], filters: Layers) -> Iterator[Named]:
    """Convolutions with norm and activation behind each (but the last), or before each in pre-activation networks.

    filters: against aliasing, before the last convolution.
    """
    for number, conv in enumerate(convs, start=1):
        own = Named(f"conv{number}", conv)
        activation = Named(f"relu{number}", Activation(network.activation))
        before = filters if number == len(convs) else ()
        if network.preactivation:
            yield from (*_norm(network, f"bn{number}", conv.inputs), activation, *before, own)
        else:
            yield from (*_shift(network, f"bias{number}a"), *before, own, *_norm(network, f"bn{number}", conv.outputs))
            yield from (*_shift(network, f"bias{number}b"), activation) if number < len(convs) else ()


def _projection(network: "Architecture", inputs: int, outputs: int, stride: int) -> Layers:
    """Option B; torchvision calls its convolution 'downsample.0' and the norm 'downsample.1'."""
    pools = network.shortcut_pool == "average" and stride > 1
    conv = Named("0", _conv(network, inputs, outputs, 1, 1 if pools else stride))
    pool = (Named("pool", Pool("average", stride, stride, ceil=network.antialias != "average")),) if pools else ()
    before = (*_shift(network, "bias"), *pool)
    return (*before, conv) if network.preactivation else (*before, conv, *_norm(network, "1", outputs))


def _attention(network: "Architecture", number: int) -> Layers:
    if network.attention == "none":
        return ()
    width = network.resolved("attention_widths")[number]
    return (Named("se", Attention(network.attention, network.outputs[number], width)),)


def _shift(network: "Architecture", name: str) -> Layers:
    """Fixup's one bias for all channels, before a convolution or an activation; () in other networks."""
    return (Named(name, Scalar("bias")),) if network.scalars == "fixup" else ()


def _factor(network: "Architecture") -> Layers:
    """What the branch of a network without norms is multiplied with at its end; Fixup's is followed by a bias.

    SkipInit's factor begins at 0, Fixup's at 1 behind a convolution of zeros: both blocks begin as their shortcuts.
    """
    if network.scalars == "none":
        return ()
    start = 1.0 if network.scalars == "fixup" else 0.0
    return Named("scale", Scalar("factor", start)), *_shift(network, "shift")


def attention_widths(kind: str, outputs: tuple[int, ...]) -> tuple[int, ...]:
    """The usual width of every stage's attention; () for none."""
    return () if kind == "none" else tuple(attention_width(kind, channels) for channels in outputs)


def _filter(network: "Architecture", stride: int) -> Pool:
    """What has the stride in a branch. An average ends at an odd border as the shortcut does: CLIP's leave it out."""
    if network.antialias == "blur":
        return Pool("blur", 3, stride, 1)
    return Pool("average", stride, stride, ceil=network.shortcut_pool != "average")


def _conv(
    network: "Architecture", inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1,
    dilation: int = 1, padding: int | None = None,
) -> Conv:  # fmt: skip
    return Conv(inputs, outputs, kernel, stride, groups, dilation, padding, network.bias, network.standardised)


def _norm(network: "Architecture", name: str, channels: int) -> Layers:
    """The norm of so many channels; () in a network without."""
    if network.norm == "none":
        return ()
    groups = network.norm_groups if network.norm == "group" else 1
    kind = "channels" if network.norm == "layer" else network.norm
    return (Named(name, Norm(channels, kind, groups, network.epsilon)),)
