"""The receptive field of a position in a layer's map as a box in the picture's own pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import nn

from features.channels.extremes import Extremes
from features.channels.layers import STEM, layer_named
from features.datasets import ImageSet
from features.errors import FeatureError
from features.networks.layout import Conv, Pool
from features.networks.measured import anatomy_of
from features.networks.recognition import layers_of
from features.networks.zoo import Model
from features.progress import Progress, Task

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Field:
    """What the positions of a layer's map see of the network's input along a side, in input pixels.

    size: of one position, along the longest path. stride: from one position to the next. start: the first pixel that
    position 0 sees, below 0 where it looks into the padding. side: the input's; positions: the map's.
    """

    size: int
    stride: int
    start: int
    side: int
    positions: int

    def span(self, position: int) -> tuple[int, int]:
        """The first pixel that a position sees, and the first behind it; beyond the input where padding is seen."""
        first = self.start + position * self.stride
        return first, first + self.size


@dataclass(frozen=True)
class Patch:
    """Left, top, right and bottom, in pixels of a picture from its upper left.

    whole: the receptive field. box: what of it lies in both the picture and the square that the network is given.
    """

    whole: Box
    box: Box

    @property
    def is_clipped(self) -> bool:
        """Whether the position also sees padding, which lies beyond the border."""
        return self.whole != self.box


@dataclass(frozen=True)
class Excitation:
    """One of a channel's extreme images: its number in the set, id, value, row and column in the map, and the patch."""

    row: int
    id: str
    value: float
    position: tuple[int, int]
    patch: Patch


def fields(model: Model) -> dict[str, Field]:
    """The receptive fields of 'stem' and of every block, by its name.

    Gates of channel attention, which are made of the whole image, and the filters of the picture's scaling are left out
    of account. A layer of which nothing but its field is known is taken to see as far to both sides.
    """
    side = model.spec.preprocessing.crop
    built = anatomy_of(model.network, model.spec.architecture, side)
    parts: dict[str, nn.Module] = {STEM: model.network.stem}
    parts |= {name: block.branch for name, block in model.network.blocks()}
    made: dict[str, Field] = {}
    start, size, stride = 0, 1, 1
    for part in built.parts:
        if part.name in parts:
            start -= _before(parts[part.name], stride, part.receptive_field - size)
            size, stride = part.receptive_field, part.stride
            made[part.name] = Field(size, stride, start, side, part.outputs[1])
    return made


def _before(layers: nn.Module, step: int, grown: int) -> int:
    """By how many input pixels position 0 of some layers begins earlier than that of what they are given.

    step: from one position to the next of that, in input pixels. grown: by how many the layers widen the field.
    """
    earlier = 0
    for layer in layers_of(layers):
        if layer is not None:
            window, stride = layer.window
            padding = layer.pad if isinstance(layer, Conv) else layer.padding if isinstance(layer, Pool) else 0
            earlier += padding * step
            grown -= (window - 1) * step
            step *= stride
    return earlier + grown // 2


def patch(model: Model, layer: str, position: tuple[int, int], size: tuple[int, int]) -> Patch:
    """What one position of a layer's map sees of a picture.

    layer: 'stem', a block, or a stage for its last block. position: row and column in its map. size: the picture's
    width and height.
    Raises FeatureError if there is no such layer or position.
    """
    return patch_of(model, _field(model, layer), position, size)


def _field(model: Model, layer: str) -> Field:
    return fields(model)[layer_named(model.network, layer)]


def patch_of(model: Model, field: Field, position: tuple[int, int], size: tuple[int, int]) -> Patch:
    row, column = position
    if not (0 <= row < field.positions and 0 <= column < field.positions):
        raise FeatureError(f"The map has {field.positions} rows and columns from 0, but got {row} and {column}.")
    left, top, right, bottom = model.spec.preprocessing.box(size)
    across = _side(field, column, (left, right), size[0])
    down = _side(field, row, (top, bottom), size[1])
    whole, box = ((across[at][0], down[at][0], across[at][1], down[at][1]) for at in (0, 1))
    return Patch(whole, box)


def _side(
    field: Field, position: int, seen: tuple[float, float], length: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """A span along one side of a picture of `length` pixels, whole and clipped. seen: what the network is given."""
    scale = (seen[1] - seen[0]) / field.side
    first, end = (seen[0] + pixel * scale for pixel in field.span(position))
    low, high = max(seen[0], 0.0), min(seen[1], float(length))
    return (first, end), (min(max(first, low), high), max(min(end, high), low))


def excitations(model: Model, images: ImageSet, layer: str, extremes: Extremes, channel: int) -> tuple[Excitation, ...]:
    """A channel's extreme images with what of each the position of the maximum sees, the most extreme first.

    images: the set that was measured. layer: one of those that were, by its name or its stage's.
    Raises ImageError if one cannot be opened any more, FeatureError for a layer that does not exist.
    """
    field = _field(model, layer)
    rows, values, positions = (part[channel].tolist() for part in (extremes.rows, extremes.values, extremes.positions))
    return tuple(
        Excitation(row, images.ids[row], value, (y, x), patch_of(model, field, (y, x), images.open(row).size))
        for row, value, (y, x) in zip(rows, values, positions, strict=True)
    )


def patch_pictures(
    model: Model, images: ImageSet, layer: str, extremes: Extremes, channels: Sequence[int], most: int = 1
) -> Task[dict[str, np.ndarray]]:
    """What the images that excite some channels show where they do, (h, w, 3) uint8 each, under 'CHANNEL: VALUE'.

    extremes: of the layer's channels. most: pictures of a channel, the most extreme first. Raises as `excitations`.
    """
    field = _field(model, layer)
    shown: dict[str, np.ndarray] = {}
    for done, channel in enumerate(channels):
        yield Progress(done, len(channels), "channel")
        for at, row in enumerate(extremes.rows[channel][:most].tolist()):
            picture = images.open(row).convert("RGB")
            y, x = extremes.positions[channel, at].tolist()
            box = whole_pixels(patch_of(model, field, (y, x), picture.size).box, picture)
            name = f"{channel}: {extremes.values[channel, at]:.3g}"
            shown[name if most == 1 else f"{at + 1}. {name}"] = np.asarray(picture.crop(box))
    return shown


def whole_pixels(box: Sequence[float], picture: Image.Image) -> tuple[int, int, int, int]:
    """The pixels that a box touches, inside a picture, at least one."""
    left = min(max(int(np.floor(box[0])), 0), picture.width - 1)
    top = min(max(int(np.floor(box[1])), 0), picture.height - 1)
    right = min(max(int(np.ceil(box[2])), left + 1), picture.width)
    bottom = min(max(int(np.ceil(box[3])), top + 1), picture.height)
    return left, top, right, bottom
