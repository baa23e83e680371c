"""Reads the architecture off a network in memory: of which layers it is, and which choices make the same ones."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, cast

from torch import nn

from features.errors import FeatureError
from features.networks import plan
from features.networks.architecture import Architecture
from features.networks.building import MODULES
from features.networks.layout import Activation, Attention, BlockPlan, Conv, Layer, Linear, Norm, Pool, Scalar, Scale
from features.networks.modules import (
    BlurPool,
    ChannelAttention,
    ChannelNorm,
    PaddedShortcut,
    ScalarBias,
    ScalarFactor,
    ScaleAndShift,
    SqueezeExcite,
    StandardisedConv,
)
from features.networks.structure import ResidualBlock, ResidualNetwork, leaves

CODE = "code"
SHARED = ("bn1", "relu1")  # layers of a branch that a projection of the activated input shares


def architecture_of(network: ResidualNetwork, builder: str = CODE) -> Architecture:
    """The architecture of a canonical network. builder: what builds it, where an architecture can only describe it.

    `canonical.build` of it has the same layers, or has it built by that name. What is 'code' cannot be built again.
    """
    described = _described(network)
    try:
        architecture = replace(described, **_choices(network, described))
        candidates = [architecture]
        if architecture.dilations:
            candidates.append(replace(architecture, first_dilation="own"))
    except FeatureError:  # choices that contradict each other: it is none of ours
        candidates = []
    for candidate in candidates:
        if _same(network, candidate):
            return candidate
    return replace(described, builder=builder)


def layer_of(module: nn.Module) -> Layer | None:
    """The record of a module; None for one that none says all of."""
    if isinstance(module, StandardisedConv | nn.Conv2d):
        return _conv(module)
    if type(module) in ACTIVATIONS:
        name = ACTIVATIONS[type(module)]
        return Activation(name) if repr(module) == repr(MODULES[name]()) else None
    match module:
        case nn.GroupNorm(affine=True):
            return Norm(module.num_channels, "group", module.num_groups, module.eps)
        case nn.BatchNorm2d(affine=True, track_running_stats=True):
            return Norm(module.num_features, epsilon=module.eps)
        case nn.InstanceNorm2d(affine=True, track_running_stats=False):
            return Norm(module.num_features, "instance", epsilon=module.eps)
        case ChannelNorm():
            return Norm(module.normalized_shape[0], "channels", epsilon=module.eps)
        case ScalarBias():
            return Scalar("bias")
        case ScalarFactor():
            return Scalar("factor")
        case nn.LayerNorm(elementwise_affine=True) if module.bias is not None and len(module.normalized_shape) == 1:
            return Norm(module.normalized_shape[0], "layer", epsilon=module.eps)
        case ScaleAndShift():
            return Scale(len(module.weight))
        case nn.Linear() if module.bias is not None:
            return Linear(module.in_features, module.out_features)
        case nn.MaxPool2d(dilation=1):
            return _pool("max", module)
        case nn.AvgPool2d(divisor_override=None):
            return _pool("average", module)
        case BlurPool():
            return Pool("blur", 3, module.stride, 1)
        case SqueezeExcite():
            return Attention("se", module.fc1.in_channels, module.fc1.out_channels)
        case ChannelAttention():
            return Attention("eca", 0, module.conv.kernel_size[0])  # of any number of channels
    if type(module).__name__ == "FrozenBatchNorm2d":
        frozen: Any = module
        return Norm(len(frozen.weight), epsilon=frozen.eps)
    return None


STARTS: dict[Any, str] = {Norm: "layer", Scale: "activation"}  # of heads, by their first layer
ACTIVATIONS = {type(make()): name for name, make in MODULES.items()}


def _conv(module: Any) -> Conv | None:
    sizes = (module.kernel_size, module.stride, module.dilation, module.padding)
    known = not isinstance(module, nn.Conv2d) or (type(module) is nn.Conv2d and module.padding_mode == "zeros")
    if not known or isinstance(module.padding, str) or any(len(set(size)) > 1 for size in sizes):
        return None
    kernel, stride, dilation, padding = (size[0] for size in sizes)
    standardised = isinstance(module, StandardisedConv)
    if standardised and module.epsilon != 1e-8:
        return None
    made = Conv(
        module.in_channels, module.out_channels, kernel, stride, module.groups, dilation, None,
        module.bias is not None, standardised,
    )  # fmt: skip
    return made if made.pad == padding else replace(made, padding=padding)


def _pool(kind: str, module: Any) -> Pool | None:
    sizes = [
        size if isinstance(size, tuple) else (size,) for size in (module.kernel_size, module.stride, module.padding)
    ]
    if any(len(set(size)) > 1 for size in sizes):
        return None
    kernel, stride, padding = (size[0] for size in sizes)
    return Pool(kind, kernel, stride, padding, ceil=module.ceil_mode)


def layers_of(module: nn.Module) -> list[Layer | None]:
    """The records of a part's layers. A pad of zeros and the pool behind it are one."""
    layers: list[Layer | None] = []
    pad = 0
    for leaf in leaves(module):
        if isinstance(leaf, nn.ConstantPad2d) and leaf.value == 0 and len(set(leaf.padding)) == 1:
            pad = leaf.padding[0]
            continue
        layer = layer_of(leaf)
        if pad:
            is_max = isinstance(layer, Pool) and layer.kind == "max" and not layer.padding
            layer = replace(cast(Pool, layer), padding=pad, zeros=True) if is_max else None
            pad = 0
        layers.append(layer)
    return [*layers, None] if pad else layers


def _same(network: ResidualNetwork, architecture: Architecture) -> bool:
    """Whether an architecture's layers are those of a network."""

    def equal(module: nn.Module, wanted: Iterable[Layer]) -> bool:
        return layers_of(module) == list(map(_of_any_width, wanted))

    blocks, plans = [block for _, block in network.blocks()], list(architecture.plan())
    return (
        equal(network.stem, (layer for _, layer in architecture.stem_layers()))
        and equal(network.neck, (layer for _, layer in architecture.neck_layers()))
        and equal(network.classifier or nn.Identity(), (layer for _, layer in architecture.head_layers()))
        and tuple(len(cast(nn.Sequential, stage)) for stage in network.stages.values()) == architecture.blocks
        and all(
            _at_even_sides(layers_of(block.branch)) == _at_even_sides(_of_any_width(layer) for _, layer in each.branch)
            and equal(block.activation, [] if each.activation is None else [each.activation])
            and _same_shortcut(block, each, architecture, equal)
            for block, each in zip(blocks, plans, strict=True)
        )
    )


def _of_any_width(layer: Layer) -> Layer:
    """The same record without what its module does not know: the channels that ECA is given, where a number began."""
    if isinstance(layer, Scalar):
        return replace(layer, start=0.0)
    return replace(layer, channels=0) if isinstance(layer, Attention) and layer.kind == "eca" else layer


def _at_even_sides(layers: Iterable[Layer | None]) -> list[Layer | None]:
    """Layers, averages without what they do at odd borders, where timm's branches do not fit their shortcuts."""
    return [
        replace(layer, ceil=False) if isinstance(layer, Pool) and layer.kind == "average" else layer for layer in layers
    ]


def _same_shortcut(block: ResidualBlock, plan: BlockPlan, architecture: Architecture, equal: Any) -> bool:
    if block.shortcut_kind != plan.shortcut:
        return False
    if isinstance(block.shortcut, PaddedShortcut):
        padded = PaddedShortcut(plan.inputs, plan.outputs, plan.stride, architecture.shortcut_padding)
        return repr(block.shortcut) == repr(padded)
    if plan.shortcut != "projection":
        return True
    shared = [layer for name, layer in plan.branch if name in SHARED] if plan.activated else []
    wanted = [*shared, *(layer for _, layer in plan.projection)]
    if architecture.antialias == "average":
        return _at_even_sides(layers_of(block.shortcut)) == _at_even_sides(map(_of_any_width, wanted))
    return equal(block.shortcut, wanted)


def _described(network: ResidualNetwork) -> Architecture:
    """The fields that fix the shapes of most tensors."""
    stages = [[_convs(block) for block in stage] for stage in network.stages.values()]  # type: ignore[attr-defined]
    stem = [layer for layer in leaves(network.stem) if isinstance(layer, nn.Conv2d | StandardisedConv)]
    kernel = stem[0].kernel_size[0]
    before = [layer for layer in _before_pool(network) if hasattr(layer, "in_channels")]
    kinds = {block.shortcut_kind for _, block in network.blocks()} - {"identity"}
    deep = len(before) > 1
    late = _widens_late(stages)
    linear = [layer for layer in leaves(network.classifier or nn.Identity()) if isinstance(layer, nn.Linear)]
    return Architecture(
        block="basic" if len(stages[0][0]) == 2 else "bottleneck",
        blocks=tuple(map(len, stages)),
        inner=tuple(stage[0][-1 if late else -2].out_channels for stage in stages),
        outputs=tuple(stage[0][-1].out_channels for stage in stages),
        stem="deep" if deep else "imagenet" if kernel == 7 else "cifar",
        stem_width=before[-1].out_channels,
        shortcut=sorted(kinds)[-1] if kinds else "projection",
        in_channels=stem[0].in_channels,
        classes=linear[-1].out_features if linear else None,
        head_widths=tuple(layer.out_features for layer in linear[:-1]),
        head_pool=network.head_pool,
        stem_widths=tuple(conv.out_channels for conv in before[:-1]),
        widened_at="last" if late else "first",
    )


def _widens_late(stages: Sequence[Sequence[Sequence[Any]]]) -> bool:
    """Whether all basic blocks that change their width do so in their last convolution."""
    blocks = [convs for stage in stages for convs in stage]
    widening = [convs for convs in blocks if convs and convs[0].in_channels != convs[-1].out_channels]
    return bool(widening) and all(
        len(convs) == 2 and convs[0].in_channels == convs[0].out_channels for convs in widening
    )


def _convs(block: ResidualBlock) -> list[Any]:
    """A block's convolutions, of whatever kind."""
    return [layer for layer in leaves(block.branch) if hasattr(layer, "in_channels")]


def _before_pool(network: ResidualNetwork) -> Iterator[Any]:
    """The layers of the stem up to what pools."""
    for name, child in network.stem.named_children():
        if name == "maxpool":
            return
        yield from leaves(child)


def _choices(network: ResidualNetwork, described: Architecture) -> dict[str, Any]:
    """The other fields, as far as a network's first blocks tell them."""
    stages = [list(stage) for stage in network.stages.values()]  # type: ignore[call-overload]
    firsts: list[list[Layer | None]] = [layers_of(stage[0].branch) for stage in stages]
    lasts = [[layer for layer in layers_of(stage[-1].branch) if isinstance(layer, Conv)] for stage in stages]
    every = [layer for layer in chain(layers_of(network.stem), *firsts) if layer is not None]
    norms = [layer for layer in every if isinstance(layer, Norm)]
    convs = [layer for layer in firsts[0] if isinstance(layer, Conv)]
    gates = [layer for layers in firsts for layer in layers if isinstance(layer, Attention)]
    filters = [layer.kind for layers in firsts for layer in layers if isinstance(layer, Pool)]
    head = layers_of(network.classifier or nn.Identity())
    middle = 1 if described.block == "bottleneck" else -1
    preactivation = isinstance(stages[0][0].activation, nn.Identity)
    made: dict[str, Any] = {
        "groups": max((layer.groups for layer in convs), default=1),
        "strides": tuple(_stride(layers) for layers in firsts),
        "dilations": tuple(layers[middle].dilation for layers in lasts),
        "stride_at": "middle" if filters else _stride_at(firsts),
        "antialias": filters[0] if filters else "none",
        "activation": next((layer.kind for layer in every if isinstance(layer, Activation)), "relu"),
        "preactivation": preactivation,
        "norm": {"channels": "layer"}.get(norms[0].kind, norms[0].kind) if norms else "none",
        "scalars": _scalars(every),
        "norm_groups": norms[0].groups if norms and norms[0].kind == "group" else 32,
        "epsilon": norms[0].epsilon if norms else 1e-5,
        "bias": any(layer.bias for layer in convs),
        "standardised": any(layer.standardised for layer in convs),
        "attention": gates[0].kind if gates else "none",
        "attention_widths": tuple(gate.width for gate in gates),
        "last_norm": len(network.neck) > 0,
        "head_start": STARTS.get(type(head[0]), "linear") if head else "linear",
        "head_activation": next((layer.kind for layer in head if isinstance(layer, Activation)), "relu"),
        **_shortcuts(network, preactivation),
    }
    return made | _stem(network, replace(described, **made))


def _scalars(layers: Sequence[Layer]) -> str:
    kinds = {layer.kind for layer in layers if isinstance(layer, Scalar)}
    return "fixup" if "bias" in kinds else "skipinit" if kinds else "none"


def _stride(layers: Sequence[Layer | None]) -> int:
    stride = 1
    for layer in layers:
        stride *= layer.window[1] if layer else 1
    return stride


def _stride_at(firsts: Sequence[Sequence[Layer | None]]) -> str:
    branches = [[layer for layer in layers if isinstance(layer, Conv)] for layers in firsts]
    if any(convs[0].kernel == 1 and convs[0].stride > 1 for convs in branches if convs):
        return "first"
    return "last" if any(convs[-1].stride > 1 for convs in branches if convs) else "middle"


def _shortcuts(network: ResidualNetwork, preactivation: bool) -> dict[str, Any]:
    projections = [block.shortcut for _, block in network.blocks() if block.shortcut_kind == "projection"]
    padded = [block.shortcut for _, block in network.blocks() if isinstance(block.shortcut, PaddedShortcut)]
    names = {name for shortcut in projections for name, _ in shortcut.named_children()}
    averaged = any(isinstance(layer, Pool) for shortcut in projections for layer in layers_of(shortcut))
    return {
        "shortcut_pool": "average" if averaged else "none",
        "shortcut_from": "input" if preactivation and projections and names.isdisjoint(SHARED) else "activated",
        "shortcut_padding": "end" if padded and not any(shortcut.before for shortcut in padded) else "both",
    }


def _stem(network: ResidualNetwork, made: Architecture) -> dict[str, Any]:
    """The choices of the stem: its first convolution's, and the pool that makes the layers behind the others."""
    layers = layers_of(network.stem)
    first = next((layer for layer in layers if isinstance(layer, Conv)), None)
    if first is None:  # a convolution of another kind
        return {}
    ends_with_conv = hasattr(list(_before_pool(network))[-1], "in_channels")
    stem: dict[str, Any] = {"stem_stride": first.stride, "stem_padding": first.pad, "stem_norm": not ends_with_conv}
    for pool in plan.STEM_POOLS:
        candidate = replace(made, **stem, stem_pool=pool)
        if [layer for _, layer in candidate.stem_layers()] == layers:
            return {**stem, "stem_pool": pool}
    return stem
