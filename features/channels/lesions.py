"""Takes single channels out of a network."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from features.channels.layers import STEM, is_number, layer_named, need_channel
from features.devices import device_of
from features.errors import FeatureError
from features.networks.canonical import ResidualBlock, ResidualNetwork, freeze
from features.networks.measured import anatomy_of
from features.networks.zoo import Model

WITHOUT = "without"


@dataclass(frozen=True)
class ChannelLesion:
    """Some channels of a layer's output that are set to 0. layer: 'stem', a block, or a stage for its last block."""

    layer: str
    channels: tuple[int, ...]

    @property
    def name(self) -> str:
        """For people."""
        return f"without channel{'s' * (len(self.channels) > 1)} {', '.join(map(str, self.channels))} of {self.layer}"

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{WITHOUT}:{self.layer}:{','.join(map(str, self.channels))}"


def parse(text: str) -> ChannelLesion:
    """A lesion of channels as it is written: 'without:layer3.1:5,17'.

    Raises FeatureError if it is none. Whether layer and channels exist shows when it is made.
    """
    match text.split(":"):
        case [kind, layer, channels] if kind == WITHOUT and layer.strip():
            numbers = [number.strip() for number in channels.split(",") if number.strip()]
            if numbers and all(is_number(number) for number in numbers):
                return ChannelLesion(layer.strip(), tuple(map(int, numbers)))
    raise FeatureError(f"The lesion was {text[:80]!r}. Wanted without:LAYER:CHANNELS, as in without:layer3.1:5,17.")


class Silenced(nn.Module):
    """Zeros in the place of some channels of maps (N, C, H, W), which stay as they were."""

    mask: Tensor  # (C, 1, 1) bool; a buffer, so that it lies where the maps do

    def __init__(self, channels: Sequence[int], n_channels: int) -> None:
        super().__init__()
        mask = torch.zeros(n_channels, dtype=torch.bool)
        mask[list(channels)] = True
        self.register_buffer("mask", mask[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x.clone().masked_fill_(self.mask, 0)  # (N, C, H, W), in the memory format of x

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.mask.flatten().nonzero().flatten().tolist()))


def without(model: Model, layer: str, channels: Sequence[int]) -> Model:
    """The same network with some channels of a layer's output set to 0, for any analysis.

    layer: 'stem', a block, or a stage for its last block. It shares its parameters with the intact network, which stays
    as it was. Its key is another, so that nothing that is known of one is taken for the other's.
    Raises FeatureError if there is no such layer or channel, or one is named more than once.
    """
    name = layer_named(model.network, layer)
    if not channels:
        return model
    silenced = Silenced(channels, need_channels(model, name, channels)).to(device_of(model.network))
    lesion = ChannelLesion(name, tuple(channels))
    stages: dict[str, list[ResidualBlock]] = {}
    for block_name, block in model.network.blocks():
        changed = _followed(block, silenced) if block_name == name else block
        stages.setdefault(block_name.rsplit(".", 1)[0], []).append(changed)
    stem = model.network.stem
    if name == STEM:
        stem = nn.Sequential(OrderedDict([*stem.named_children(), (f"silenced{len(stem)}", silenced)]))
    again = None  # a name tells of one lesion
    if model.name is not None and model.name.lesion is None:
        again = replace(model.name, lesion=str(lesion))
    return Model(
        network=freeze(ResidualNetwork(stem, stages, model.network.head)),
        spec=replace(model.spec, name=f"{model.spec.name} {lesion.name}"),
        digest=model.digest,
        variant=f"{model.variant}, {lesion.name}" if model.variant else lesion.name,
        name=again,
    )


def _followed(block: ResidualBlock, silenced: Silenced) -> ResidualBlock:
    """The block with some channels of its output set to 0, on the same parameters."""
    return ResidualBlock(block.shortcut, block.branch, nn.Sequential(block.activation, silenced))


def need_channels(model: Model, layer: str, channels: Sequence[int]) -> int:
    """How many channels a layer has. Raises FeatureError if some are not among them, or are named more than once."""
    parts = anatomy_of(model.network, model.spec.architecture, model.spec.preprocessing.crop).parts
    count = next(part.outputs[0] for part in parts if part.name == layer)
    for channel in channels:
        need_channel(layer, count, channel)
    if len(set(channels)) < len(channels):
        raise FeatureError(f"A channel of {layer} is named more than once in {list(channels)}. Name each once.")
    return count
