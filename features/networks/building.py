"""Builds the canonical network of an architecture, its layers called as files call them."""

from collections import OrderedDict
from collections.abc import Callable
from typing import cast

from torch import nn

from features.networks.architecture import Architecture
from features.networks.layout import Activation, Attention, BlockPlan, Conv, Layer, Linear, Norm, Pool, Scale
from features.networks.modules import (
    BlurPool,
    ChannelAttention,
    NoShortcut,
    PaddedShortcut,
    ScaleAndShift,
    SqueezeExcite,
    StandardisedConv,
)
from features.networks.structure import ResidualBlock, ResidualNetwork, make_head, nested

MODULES: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "selu": nn.SELU,
    "mish": nn.Mish, "hardswish": nn.Hardswish, "relu6": nn.ReLU6, "tanh": nn.Tanh, "softplus": nn.Softplus,
}  # fmt: skip


def build(architecture: Architecture) -> ResidualNetwork:
    """A new network with He initialisation (He et al. 2015, arXiv:1502.01852), in train mode.

    Draws from torch's global generator, as torch's own layers do; build under `torch.device("meta")` to get
    shapes without memory.
    """
    if architecture.builder:
        from features.networks.adapters.builders import built

        return built(architecture)
    stages: dict[str, list[ResidualBlock]] = {}
    for block in architecture.plan():
        stages.setdefault(block.stage, []).append(_block(block, architecture))
    layers = [(name, module_of(layer)) for name, layer in architecture.head_layers()]
    fc = dict(nested(layers).named_children()).get("fc")
    neck = [(name, module_of(layer)) for name, layer in architecture.neck_layers()]
    stem = nested((name, module_of(layer)) for name, layer in architecture.stem_layers())
    network = ResidualNetwork(stem, stages, make_head(fc, neck, architecture.head_pool))
    for module in network.modules():
        if isinstance(module, nn.Conv2d | StandardisedConv) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _block(plan: BlockPlan, architecture: Architecture) -> ResidualBlock:
    branch = nested((name, module_of(layer)) for name, layer in plan.branch)
    activation = nn.Identity() if plan.activation is None else module_of(plan.activation)
    return ResidualBlock(_shortcut(plan, branch, architecture.shortcut_padding), branch, activation)


def _shortcut(plan: BlockPlan, branch: nn.Sequential, at: str) -> nn.Module:
    match plan.shortcut:
        case "identity":
            return nn.Identity()
        case "padding":
            return PaddedShortcut(plan.inputs, plan.outputs, plan.stride, at)
        case "none":
            return NoShortcut(plan.outputs, plan.stride)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if plan.activated:  # the branch's own modules, up to its first convolution
        layers |= {name: module for name, module in branch.named_children() if name in ("bn1", "relu1")}
    layers |= {name: module_of(layer) for name, layer in plan.projection}
    return nn.Sequential(layers)


def module_of(layer: Layer) -> nn.Module:
    """The module that does what a record says."""
    return _MAKERS[type(layer)](layer)


def _conv(layer: Layer) -> nn.Module:
    conv = cast(Conv, layer)
    made = nn.Conv2d(
        conv.inputs, conv.outputs, conv.kernel, conv.stride, conv.pad, conv.dilation, conv.groups, bias=conv.bias
    )
    return StandardisedConv(made) if conv.standardised else made


def _norm(layer: Layer) -> nn.Module:
    norm = cast(Norm, layer)
    if norm.kind == "layer":
        return nn.LayerNorm(norm.channels, norm.epsilon)
    if norm.kind == "group":
        return nn.GroupNorm(norm.groups, norm.channels, norm.epsilon)
    return nn.BatchNorm2d(norm.channels, norm.epsilon)


def _pool(layer: Layer) -> nn.Module:
    pool = cast(Pool, layer)
    if pool.kind == "blur":
        return BlurPool(pool.stride)
    if pool.kind == "average":
        return nn.AvgPool2d(pool.kernel, pool.stride, pool.padding, pool.ceil, count_include_pad=False)
    if pool.zeros:
        return nn.Sequential(nn.ConstantPad2d(pool.padding, 0.0), nn.MaxPool2d(pool.kernel, pool.stride))
    return nn.MaxPool2d(pool.kernel, pool.stride, pool.padding, ceil_mode=pool.ceil)


def _attention(layer: Layer) -> nn.Module:
    gate = cast(Attention, layer)
    return ChannelAttention(gate.width) if gate.kind == "eca" else SqueezeExcite(gate.channels, gate.width)


def _linear(layer: Layer) -> nn.Module:
    linear = cast(Linear, layer)
    return nn.Linear(linear.inputs, linear.outputs)


_MAKERS: dict[type[Layer], Callable[[Layer], nn.Module]] = {
    Conv: _conv,
    Norm: _norm,
    Activation: lambda layer: MODULES[cast(Activation, layer).kind](),
    Pool: _pool,
    Attention: _attention,
    Linear: _linear,
    Scale: lambda layer: ScaleAndShift(cast(Scale, layer).channels),
}
