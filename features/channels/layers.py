"""The layers whose channels can be looked at: the stem's and every block's output, a stage's by its last block."""

from collections.abc import Sequence

from features import engine
from features.errors import FeatureError
from features.networks.canonical import ResidualNetwork

STEM = "stem"
DIGITS = 9  # of a channel's number, at most


def layer_named(network: ResidualNetwork, name: str) -> str:
    """'stem' or a block, of a name that may be a stage's. Raises FeatureError if there is no such layer."""
    blocks = [block for block, _ in network.blocks()]
    known = {STEM: STEM, **{block: block for block in blocks}, **_lasts(blocks)}
    if name not in known:
        there = [layer for layer in engine.readable(network) if layer in known]
        raise FeatureError(f"There is no layer {name}. This network has {', '.join(there)}.")
    return known[name]


def layers_of(network: ResidualNetwork, names: Sequence[str]) -> dict[str, str]:
    """Stem and blocks in the network's order by what was asked for -> the stage whose last block each is, or ''.

    names: of 'stem', stages and blocks; none for all blocks. Raises FeatureError for what does not exist.
    """
    blocks = [block for block, _ in network.blocks()]
    chosen = {layer_named(network, name) for name in names} or set(blocks)
    stages = {last: stage for stage, last in _lasts(blocks).items()}
    return {layer: stages.get(layer, "") for layer in (STEM, *blocks) if layer in chosen}


def need_channel(layer: str, n_channels: int, channel: int) -> None:
    """Raises FeatureError if a layer has no such channel."""
    if not 0 <= channel < n_channels:
        raise FeatureError(f"{layer} has channels from 0 to {n_channels - 1}, but got {channel}.")


def is_number(text: str) -> bool:
    """Whether a text can be the number of a channel. Python turns no digits without end into a number."""
    return text.isdecimal() and len(text) <= DIGITS


def _lasts(blocks: Sequence[str]) -> dict[str, str]:
    """Stage -> its last block."""
    return {block.rsplit(".", 1)[0]: block for block in blocks}
