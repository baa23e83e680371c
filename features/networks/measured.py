"""Measures what a network in memory is made of by running it without its weights: shapes, operations, parameters."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from features.networks.anatomy import Anatomy, Part, Walk, anatomy
from features.networks.architecture import Architecture
from features.networks.building import build
from features.networks.layout import AVERAGE, HEAD_POOLS, Layer
from features.networks.modules import GlobalPool
from features.networks.recognition import CODE, layer_of, layers_of
from features.networks.structure import ResidualNetwork, copy_of, leaves


def measured(network: ResidualNetwork, side: int) -> Anatomy:
    """The anatomy of a canonical network for images of `side` pixels. Multiply-adds are those of PyTorch's own counter.

    It is run on the meta device, in a copy without numbers.
    """
    return _measured(copy_of(network, "meta").eval(), side)


def anatomy_of(network: ResidualNetwork, architecture: Architecture, side: int) -> Anatomy:
    """The anatomy of a network that is loaded: of its architecture, or, where that cannot be built, of itself."""
    return measured(network, side) if architecture.builder == CODE else anatomy(architecture, side)


def built(architecture: Architecture, side: int) -> Anatomy:
    """As `measured`, of a network that is built for it."""
    with torch.device("meta"):
        network = build(architecture)
    return _measured(network.eval(), side)


@torch.no_grad()
def _measured(network: ResidualNetwork, side: int) -> Anatomy:
    first = next(layer for layer in leaves(network.stem) if hasattr(layer, "in_channels"))
    x = torch.empty(1, cast(int, first.in_channels), side, side, device="meta")
    walk = Walk(x.shape[1], side)
    parts = []
    x, part = _part("stem", "", "stem", network.stem, list(leaves(network.stem)), x, walk)
    parts.append(part)
    for name, block in network.blocks():
        layers = list(leaves(block.branch))
        kind = "basic" if sum(hasattr(layer, "in_channels") for layer in layers) == 2 else "bottleneck"
        x, part = _part(name, name.split(".")[0], kind, block, layers, x, walk, block.shortcut_kind)
        parts.append(part)
    walk.field = walk.stride = 0  # of the head, which sees everything
    _, part = _part("head", "", "head", network.head, list(leaves(network.head)), x, walk)
    return Anatomy((*parts, part), side)


def _part(
    name: str,
    stage: str,
    kind: str,
    module: nn.Module,
    layers: list[nn.Module],
    x: Tensor,
    walk: Walk,
    shortcut: str = "",
) -> tuple[Tensor, Part]:
    """Run a part. layers: those on its longest path."""
    with FlopCounterMode(display=False) as counter:
        y = module(x)
    for layer in layers if kind != "head" else ():
        walk.see(*_window(layer))
    words = tuple(_words(layer) for layer in layers if not isinstance(layer, nn.Flatten))
    parameters = sum(tensor.numel() for tensor in _learned(module))
    return y, Part(
        name, stage, kind, tuple(x.shape[1:]), tuple(y.shape[1:]), words, shortcut, parameters,
        counter.get_total_flops() // 2, walk.field, walk.stride,
    )  # fmt: skip


def _learned(module: nn.Module) -> list[Tensor]:
    """Parameters, and the weights and biases of frozen norms, which are none to PyTorch."""
    frozen = (buffer for name, buffer in module.named_buffers() if name.rpartition(".")[2] in ("weight", "bias"))
    return [*module.parameters(), *frozen]


def _window(module: nn.Module) -> tuple[int, int]:
    """What one position of a layer sees along a side, and the step to the next; of a module with layers, the widest."""
    layer = layer_of(module)
    if layer is not None:
        return layer.window
    inside = [made for part in module.modules() if (made := layer_of(part)) is not None]
    return max((each.window for each in inside), default=(1, 1))


def _words(module: nn.Module) -> str:
    if isinstance(module, nn.AdaptiveAvgPool2d | GlobalPool):
        return HEAD_POOLS[module.kind if isinstance(module, GlobalPool) else AVERAGE].words
    if isinstance(module, nn.Linear):
        return f"fully connected, {module.in_features}->{module.out_features}"
    (layer,) = layers_of(module) or [None]
    return layer.describe() if isinstance(layer, Layer) else type(module).__name__
