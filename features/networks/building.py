"""Builds the canonical network of an architecture, its layers called as files call them."""

from collections import OrderedDict
from collections.abc import Callable
from typing import cast

import torch
from torch import nn

from features.networks.architecture import Architecture
from features.networks.layout import Activation, Attention, BlockPlan, Conv, Layer, Linear, Norm, Pool, Scalar, Scale
from features.networks.modules import (
    BlurPool,
    ChannelAttention,
    ChannelNorm,
    NoShortcut,
    PaddedShortcut,
    ScalarBias,
    ScalarFactor,
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

    Without norms, biases begin at 0, and with Fixup weights as `_begin_small` says.
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
            if architecture.norm == "none" and module.bias is not None:
                nn.init.zeros_(module.bias)
    if architecture.scalars == "fixup":
        _begin_small(network)
    return network


@torch.no_grad()
def _begin_small(network: ResidualNetwork) -> None:
    """Fixup's rules (Zhang et al. 2019, arXiv:1901.09321): in a network of L blocks with m convolutions each, the last
    one of each branch and the classifier begin at 0, the others of branches are L ** (-1 / (2 m - 2)) as large.

    The bias before the classifier is left to the classifier's own, which makes the same functions.
    """
    blocks = [block for _, block in network.blocks()]
    for block in blocks:
        convs = [layer for layer in block.branch if isinstance(layer, nn.Conv2d)]
        for conv in convs[:-1]:
            conv.weight *= len(blocks) ** (-1 / (2 * len(convs) - 2))
        convs[-1].weight.zero_()
    last = [layer for layer in network.head.modules() if isinstance(layer, nn.Linear)][-1:]
    for linear in last:
        linear.weight.zero_()
        linear.bias.zero_()


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
    if norm.kind == "channels":
        return ChannelNorm(norm.channels, norm.epsilon)
    if norm.kind == "group":
        return nn.GroupNorm(norm.groups, norm.channels, norm.epsilon)
    if norm.kind == "instance":
        return nn.InstanceNorm2d(norm.channels, norm.epsilon, affine=True)
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


def _scalar(layer: Layer) -> nn.Module:
    scalar = cast(Scalar, layer)
    return ScalarBias(scalar.start) if scalar.kind == "bias" else ScalarFactor(scalar.start)


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
    Scalar: _scalar,
}
