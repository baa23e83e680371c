"""Which channels of the next block read a channel."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from features.channels.groups import over_all_inputs
from features.channels.layers import STEM, layer_named, need_channel
from features.engine.folding import folded
from features.errors import FeatureError
from features.networks.canonical import ResidualBlock
from features.networks.modules import PaddedShortcut
from features.networks.zoo import Model


@dataclass(frozen=True, eq=False)
class Readers:
    """How strongly the next block reads each of a layer's C channels.

    layer: whose channels are read. block: that reads them. branch: (O, C) float32, the Euclidean norm over positions of
    the weights with which each of O channels of the branch's first convolution reads each channel, the norm behind it
    folded in; 0 in other groups. projection: (O', C) float32, the same of the shortcut's, None without a projection.
    shortcut: its kind, as of `ResidualBlock.shortcut_kind`. passed: (C,) int64, the channel of the block's sum that a
    shortcut without weights hands each on to, -1 where there is none.
    """

    layer: str
    block: str
    branch: np.ndarray
    projection: np.ndarray | None
    shortcut: str
    passed: np.ndarray

    @property
    def strengths(self) -> np.ndarray:
        """(C,) float64, the norm of all weights that read each channel, of branch and projection."""
        parts = [self.branch] if self.projection is None else [self.branch, self.projection]
        return np.sqrt(sum(np.square(part, dtype=np.float64).sum(0) for part in parts))

    def of(self, channel: int, k: int = 16) -> tuple[np.ndarray, np.ndarray]:
        """The k channels of the branch's first convolution that read a channel most strongly: numbers and norms, (k,).

        Raises FeatureError if there is no such channel.
        """
        need_channel(self.layer, self.branch.shape[1], channel)
        order = np.argsort(-self.branch[:, channel], kind="stable")[:k]
        return order, self.branch[order, channel]


def reader_of(model: Model, layer: str) -> str | None:
    """The block whose convolutions read a layer's channels.

    None of the last layer, which the head reads, and where the next block's branch has been left out and its shortcut
    has no weights: then no weights say how strongly a channel is read. Raises FeatureError if there is no such layer.
    """
    blocks = dict(model.network.blocks())
    following = _following(layer_named(model.network, layer), list(blocks))
    return following if following is not None and _has_convolution(blocks[following]) else None


def readers(model: Model, layer: str) -> Readers:
    """How the block after a layer reads its channels, by weights alone, whatever the images.

    layer: 'stem', a block, or a stage for its last block. What lies before the convolution, the norm of pre-activation
    networks above all, is left out of account. A branch that has been left out reads nothing (O is 0).
    Raises FeatureError for a layer that does not exist, the last one, which the head reads, and where the next block
    has no convolution.
    """
    blocks = dict(model.network.blocks())
    name = layer_named(model.network, layer)
    reader = _following(name, list(blocks))
    if reader is None:
        raise FeatureError(f"{layer} is the last layer: its channels are read by the head. See what they contribute.")
    block = blocks[reader]
    if not _has_convolution(block):
        raise FeatureError(
            f"No convolution of {reader} reads {name}: its branch has been left out. Ask of a layer before another "
            "block, or take the network without the lesion."
        )
    kind = block.shortcut_kind
    branch, projection = _norms(block.branch), _norms(block.shortcut)
    if branch is None:
        assert projection is not None  # as was asked
        branch = np.zeros((0, projection.shape[1]), np.float32)
    return Readers(
        layer=name,
        block=reader,
        branch=branch,
        projection=projection,
        shortcut=kind,
        passed=_passed(block.shortcut, kind, branch.shape[1]),
    )


def _following(layer: str, blocks: list[str]) -> str | None:
    """The block after a layer, None for the last."""
    names = [STEM, *blocks]
    at = names.index(layer)
    return names[at + 1] if at + 1 < len(names) else None


def _has_convolution(block: ResidualBlock) -> bool:
    return any(isinstance(part, nn.Conv2d) for part in block.modules())


def _norms(layers: nn.Module) -> np.ndarray | None:
    """(O, C) float32, of the first convolution among some layers; None where there is none."""
    with torch.inference_mode(False), torch.no_grad():
        conv = next((part for part in folded(layers).modules() if isinstance(part, nn.Conv2d)), None)
        if conv is None:
            return None
        norms = torch.linalg.vector_norm(conv.weight.float(), dim=(2, 3)).numpy()  # (O, C / groups)
    return over_all_inputs(norms, conv.groups)


def _passed(shortcut: nn.Module, kind: str, channels: int) -> np.ndarray:
    """(C,) int64, where a shortcut without weights hands each channel on to."""
    before = shortcut.before if isinstance(shortcut, PaddedShortcut) else 0
    return np.arange(channels) + before if kind in ("identity", "padding") else np.full(channels, -1)
