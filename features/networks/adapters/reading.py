"""Puts the parts of a residual network of another library together as the canonical network."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn

from features.errors import FeatureError
from features.networks.adapters.layers import (
    KNOWN,
    another,
    holds_activation,
    holds_norm,
    is_activation,
    is_conv,
    is_filter,
    is_norm,
    is_pool,
    kind,
    plain,
)
from features.networks.layout import AVERAGE, HEAD_POOLS
from features.networks.modules import GlobalPool, NoShortcut, PaddedShortcut
from features.networks.structure import ResidualBlock, ResidualNetwork, leaves, make_head, nested, stride_of

SHORTCUTS = ("downsample", "shortcut", "convShortcut", "skip", "projection", "identity_downsample", "shortcut_conv")
GATES = ("se", "eca", "attn", "attention", "se_module", "cbam")
GLOBAL = (nn.AdaptiveAvgPool2d, GlobalPool)
POOLED = (*GLOBAL, nn.AvgPool2d, nn.Flatten)
DENSE = (nn.Linear, nn.BatchNorm1d, nn.LayerNorm)  # on pooled features


@dataclass(frozen=True, eq=False)
class Pieces:
    """The children of a network in the order in which they run. stages: their blocks; head: what comes after them."""

    stem: list[tuple[str, nn.Module]]
    stages: list[list[nn.Module]]
    head: list[tuple[str, nn.Module]]


@dataclass(frozen=True)
class Form:
    """What children do not tell of how a network runs them.

    preactivation, activated: as Architecture's preactivation and shortcut_from. filler: what stands where a block
    changes the shape and has no shortcut: zeros on 'both' sides, at the 'end', or 'none'. plain: whether no block has a
    shortcut. pools: whether a max-pool that is no child follows the stem. rectified_head: whether ReLUs that are no
    children stand between the head's linear layers. head_pool: of layout.HEAD_POOLS, None for the child that pools.
    """

    preactivation: bool = False
    activated: bool = True
    filler: str = "both"
    plain: bool = False
    pools: bool = False
    rectified_head: bool = False
    head_pool: str | None = None


def assembled(pieces: Pieces, form: Form) -> ResidualNetwork:
    """The canonical network. Raises FeatureError for layers that have no place in it."""
    stages = {
        f"layer{number}": [_block(block, form) for block in blocks] for number, blocks in enumerate(pieces.stages, 1)
    }
    return ResidualNetwork(_stem(pieces.stem, form), stages, _head(pieces.head, form))


def _stem(children: Sequence[tuple[str, nn.Module]], form: Form) -> nn.Sequential:
    """Convolutions, each with its norm and the activation; then what pools, in the order in which it comes."""
    layers = [layer for name, child in children for layer in plain(child, name)]
    pool_from = next((at for at, (name, layer) in enumerate(layers) if is_pool(layer) or "pool" in name), len(layers))
    before, pools = layers[:pool_from], layers[pool_from:]
    convs, norms = ([layer for _, layer in before if what(layer)] for what in (is_conv, is_norm))
    others = [name for name, layer in before if not (is_conv(layer) or is_norm(layer) or is_activation(layer))]
    if not convs or others:
        raise FeatureError(f"The stem has {_listed(before)}, where convolutions, norms and activations are read.")
    if form.pools and not pools:
        pools = [("maxpool", nn.MaxPool2d(3, 2, 1))]
    named = [(f"maxpool.{at}" if len(pools) > 1 else "maxpool", layer) for at, (_, layer) in enumerate(pools)]
    return nested([*_normed(convs, norms, _activation(layer for _, layer in before), form), *named])


def _normed(
    convs: Sequence[nn.Module], norms: Sequence[nn.Module], activation: Callable[[], nn.Module], form: Form
) -> Iterator[tuple[str, nn.Module]]:
    """A stem's convolutions, those before the last in one Sequential with it, as files number them."""
    for number, conv in enumerate(convs):
        last, norm = number == len(convs) - 1, norms[number] if number < len(norms) else None
        names = [f"conv1.{3 * number + place}" for place in range(3)] if len(convs) > 1 else ["conv1"]
        names[1:] = ["bn1", "relu"] if last else names[1:]
        yield names[0], conv
        if norm is not None:
            yield names[1], norm
        held = norm is not None and holds_activation(norm)
        if not held and (not last or norm is not None or not form.preactivation):
            yield names[2], activation()


def _block(source: nn.Module, form: Form) -> ResidualBlock:
    parts = dict(source.named_children())
    shortcut = next((parts.pop(name) for name in SHORTCUTS if name in parts), None)
    gates = [("se", gate) for name in GATES if name in parts for gate in [_gate(parts.pop(name))] if gate is not None]
    layers = [layer for name, child in parts.items() for layer in plain(child, name)]
    convs, norms, filters = ([layer for _, layer in layers if what(layer)] for what in (is_conv, is_norm, is_filter))
    others = [name for name, layer in layers if not any(
        what(layer) for what in (is_conv, is_norm, is_filter, is_activation)
    )]  # fmt: skip
    needed = len(convs) - sum(map(holds_norm, convs))
    if len(convs) not in (2, 3) or len(norms) not in (0, needed) or others or len(filters) > 1:
        raise FeatureError(
            f"A residual block needs conv1, bn1, conv2, bn2 (conv3, bn3) and at most a downsample, but "
            f"{type(source).__name__} has {', '.join(dict(source.named_children())) or 'no parts'}. "
            "This kind of block is not supported."
        )
    last = max((at for at, (_, layer) in enumerate(layers) if is_conv(layer)), default=0)
    inner, outer = ([layer for _, layer in some if is_activation(layer)] for some in (layers[:last], layers[last:]))
    activation = _activation(iter(inner or outer))  # transformers' blocks may end with another
    branch = nested([*_branch(convs, norms, activation, filters, form.preactivation), *gates])
    return ResidualBlock(
        _shortcut(shortcut, branch, convs, form, type(source).__name__),
        branch,
        nn.Identity() if form.preactivation else _activation(iter(outer or inner))(),
    )


def _gate(source: nn.Module) -> nn.Module | None:
    """A module at the end of a branch, of whatever kind: all that is asked of it is that it changes no shape."""
    try:
        layers = plain(source)
    except FeatureError:
        return source
    return layers[0][1] if layers else None


def _branch(
    convs: Sequence[nn.Module],
    norms: Sequence[nn.Module],
    activation: Callable[[], nn.Module],
    filters: Sequence[nn.Module],
    preactivation: bool,
) -> Iterator[tuple[str, nn.Module]]:
    """Layers in the order in which they run: a filter comes right before the last convolution."""
    left = list(norms)
    for number, conv in enumerate(convs, start=1):
        last = number == len(convs)
        own, before = (f"conv{number}", conv), [("aa", layer) for layer in filters if last]
        if holds_norm(conv):
            yield from (*before, own)
            continue
        norm = left.pop(0) if left else None
        named = [] if norm is None else [(f"bn{number}", norm)]
        acts = [] if norm is not None and holds_activation(norm) else [(f"relu{number}", activation())]
        if preactivation:
            yield from (*named, *acts, *before, own)
        else:
            yield from (*before, own, *named, *([] if last else acts))


def _activation(layers: Iterator[nn.Module]) -> Callable[[], nn.Module]:
    """Makes activations like those among layers, which are of one kind; ReLUs where code calls them as functions."""
    activations = [layer for layer in layers if is_activation(layer)]
    if len({repr(layer) for layer in activations}) > 1:
        raise FeatureError(f"Activations differ: {', '.join(sorted({repr(layer) for layer in activations}))}.")
    return (lambda: another(activations[0])) if activations else nn.ReLU


def _shortcut(
    source: nn.Module | None, branch: nn.Sequential, convs: Sequence[Any], form: Form, block: str
) -> nn.Module:
    inputs, outputs = convs[0].in_channels, convs[-1].out_channels
    stride = prod(map(stride_of, leaves(branch)))
    if form.plain:
        return NoShortcut(outputs, stride)
    filler = _filler(source, inputs, outputs, stride, block) if source is not None else None
    if filler is not None:
        return filler
    layers = [] if source is None else [layer for _, layer in plain(source, "shortcut")]
    if not layers:
        if inputs == outputs and stride == 1:
            return nn.Identity()
        return NoShortcut(outputs, stride) if form.filler == "none" else PaddedShortcut(
            inputs, outputs, stride, form.filler
        )  # fmt: skip
    named: OrderedDict[str, nn.Module] = OrderedDict()
    if form.preactivation and form.activated:
        first = next(name for name, layer in branch.named_children() if is_conv(layer))
        for name, layer in branch.named_children():
            if name == first:
                break
            named[name] = layer
    projection = {_projection_name(layer, block): layer for layer in layers}
    if len(projection) < len(layers):
        raise FeatureError(
            f"The shortcut of {block} has {len(layers)} layers, where a pool, one convolution and one norm are read."
        )
    return nn.Sequential(named | projection)


def _projection_name(layer: nn.Module, block: str) -> str:
    for name, what in (("0", is_conv), ("1", is_norm), ("pool", is_filter)):
        if what(layer):
            return name
    raise FeatureError(f"The shortcut of {block} has {type(layer).__name__}, which is not known there.")


@torch.no_grad()
def _filler(source: nn.Module, inputs: int, outputs: int, stride: int, block: str) -> nn.Module | None:
    """The shortcut that does what one without parameters does; None for one with parameters or of known layers."""
    if next(source.parameters(), None) is not None:
        return None
    try:
        plain(source, "shortcut")
        return None
    except FeatureError:
        x = torch.randn(2, inputs, 9, 8, generator=torch.Generator().manual_seed(0))
    wanted = source(x)
    for made in (*(PaddedShortcut(inputs, outputs, stride, at) for at in ("both", "end")), nn.Identity()):
        output = made(x)
        if output.shape == wanted.shape and torch.equal(output, wanted):
            return made
    raise FeatureError(f"The shortcut of {block} has no parameters and does not pad with zeros.")


def _head(children: Sequence[tuple[str, nn.Module]], form: Form) -> nn.Sequential:
    """Norm and activation of pre-activation networks, the pool over all of space, and what makes logits of it."""
    layers = head_layers(children)
    pooled = max((at for at, (_, layer) in enumerate(layers, 1) if isinstance(layer, POOLED)), default=0)
    dense = next((at for at, (_, layer) in enumerate(layers) if isinstance(layer, DENSE)), len(layers))
    split = max(pooled, dense) if pooled > dense or not pooled else pooled
    before, chain = layers[:split], [layer for _, layer in layers[split:]]
    norms = [layer for _, layer in before if is_norm(layer)]
    known = all(is_norm(layer) or is_activation(layer) or isinstance(layer, POOLED) for _, layer in before)
    makes_logits = not chain or isinstance(chain[-1], nn.Linear)
    if not known or not makes_logits or len(norms) > 1 or not all(
        is_activation(layer) or isinstance(layer, DENSE) for layer in chain
    ):  # fmt: skip
        raise FeatureError(
            f"The head has {_listed(layers)}, where a norm, a pool over all of space and linear layers are read."
        )
    neck: list[tuple[str, nn.Module]] = [("norm", norm) for norm in norms]
    if norms and not holds_activation(norms[0]):
        neck.append(("relu", _activation(layer for _, layer in before)()))
    pools = [layer.kind for _, layer in before if isinstance(layer, GlobalPool)]
    return make_head(_classifier(chain, form), neck, form.head_pool or (pools[0] if pools else AVERAGE))


def _classifier(chain: Sequence[nn.Module], form: Form) -> nn.Module | None:
    """One linear layer, or all layers of the head in a Sequential."""
    layers: list[nn.Module] = []
    for layer in chain:
        if form.rectified_head and layers and isinstance(layer, nn.Linear):
            layers.append(nn.ReLU())
        layers.append(layer)
    return nn.Sequential(*layers) if len(layers) > 1 else layers[0] if layers else None


def head_layers(children: Sequence[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """The layers of a head in order; what pools over all of space as an AdaptiveAvgPool2d or a GlobalPool."""
    layers: list[tuple[str, nn.Module]] = []
    for name, child in children:
        if type(child) is nn.Sequential:
            layers += head_layers([(f"{name}.{own}", part) for own, part in child.named_children()])
        elif _may_pool(child):
            layers += _pooling(name, child)
        else:
            layers += plain(child, name)
    return layers


def _may_pool(module: nn.Module) -> bool:
    """Whether it may be a pool over all of space: one by its name, or a layer without parameters that is not known."""
    if isinstance(module, nn.AvgPool2d) or next(module.parameters(), None) is not None:
        return False
    return "pool" in type(module).__name__.lower() or kind(module) not in KNOWN


def _pooling(name: str, module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The pool that does what a module does, or what flattens; what does something else is read as any layer is."""
    x = torch.rand(2, 3, 9, 8, generator=torch.Generator().manual_seed(0), device="cpu") - 0.5
    with torch.no_grad(), torch.device("cpu"), suppress(Exception):  # other people's code
        made = module(x).flatten(1)  # (N, D)
        for pool in (nn.AdaptiveAvgPool2d(1), *map(GlobalPool, HEAD_POOLS)):
            wanted = pool(x).flatten(1)
            if made.shape == wanted.shape and torch.allclose(made, wanted, atol=1e-6):
                return [(name, pool)]
        if torch.equal(made, x.flatten(1)):
            return [] if module(x).shape == x.shape else [(name, nn.Flatten(1))]
    if isinstance(module, nn.AdaptiveAvgPool2d):
        raise FeatureError(f"{name!r} pools to {module.output_size}, where one average over space is read.")
    return plain(module, name)


def _listed(layers: Sequence[tuple[str, nn.Module]]) -> str:
    return ", ".join(f"{name} ({type(layer).__name__})" for name, layer in layers) or "nothing"
