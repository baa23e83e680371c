"""Filters as pictures: the kernels of the first layer, and those of later ones plane by plane."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from features.channels.groups import over_all_inputs
from features.channels.layers import STEM, layer_named, need_channel
from features.channels.spectra import Waves, strongest_waves
from features.engine.folding import folded
from features.errors import FeatureError
from features.networks.preprocessing import Preprocessing
from features.networks.zoo import Model
from features.registry import Registry
from features.results import Provenance, provenance

MIDDLE = 127.5  # the grey level of a weight of 0


@dataclass(frozen=True, eq=False)
class Filters:
    """The kernels of a network's first convolution, as they meet the normalised input, its norm folded in.

    kernels: (O, I, H, W) float32. biases: (O,) float32. waves: the strongest of each. colour: (O,) float64 in [0, 1],
    the share of squared weights in which the planes differ: 0 of a grey filter, and of a single plane. preprocessing:
    of the input.
    """

    kernels: np.ndarray
    biases: np.ndarray
    waves: Waves
    colour: np.ndarray
    preprocessing: Preprocessing
    provenance: Provenance

    @property
    def norms(self) -> np.ndarray:
        """(O,) float64, the Euclidean norm of each kernel."""
        return np.sqrt(np.square(self.kernels, dtype=np.float64).sum((1, 2, 3)))

    @property
    def in_colour(self) -> bool:
        """Whether the planes are red, green and blue, so that a filter is one picture."""
        return self.kernels.shape[1] == 3

    def order(self, name: str) -> np.ndarray:
        """(O,) int64, all filters as an entry of FILTER_ORDERS has them; equal ones by number."""
        return np.argsort(FILTER_ORDERS.need(name).key(self), kind="stable")

    def pictures(self, number: int) -> np.ndarray:
        """A filter as pictures: (1, H, W, 3) uint8 in colours where the input has them, else (I, H, W, 3) grey planes.

        A weight of 0 is mid grey; the weight farthest from 0 is black or white, of all planes the same.
        """
        need_channel("the first convolution", len(self.kernels), number)
        kernel = self.kernels[number]  # (I, H, W)
        if not self.in_colour:
            return grey_pictures(kernel)
        values = kernel[::-1] if self.preprocessing.channel_order == "bgr" else kernel
        return _shades(values).transpose(1, 2, 0)[None]  # (1, H, W, 3)

    def table(self) -> pd.DataFrame:
        """One row per filter: channel, norm, bias, frequency (cycles per pixel), orientation (degrees), wave_share,
        colour."""
        return pd.DataFrame(
            {
                "channel": np.arange(len(self.kernels)),
                "norm": self.norms,
                "bias": self.biases,
                "frequency": self.waves.frequency,
                "orientation": self.waves.orientation,
                "wave_share": self.waves.share,
                "colour": self.colour,
            }
        )


@dataclass(frozen=True)
class FilterOrder:
    """A way to sort filters. title: for people. key: (O,), the smallest first, NaN last."""

    name: str
    title: str
    key: Callable[[Filters], np.ndarray]


FILTER_ORDERS = Registry(
    "order of filters",
    (
        FilterOrder("index", "number", lambda filters: np.arange(len(filters.kernels))),
        FilterOrder("norm", "norm, the largest first", lambda filters: -filters.norms),
        FilterOrder("frequency", "spatial frequency", lambda filters: filters.waves.frequency),
        FilterOrder("orientation", "orientation", lambda filters: filters.waves.orientation),
        FilterOrder("colour", "colour, the most colourful first", lambda filters: -filters.colour),
    ),
)


def filters(model: Model) -> Filters:
    """The kernels of the first convolution of the stem, and the waves that they are made of.

    Raises FeatureError for a stem without a convolution.
    """
    convs = _convolutions(model.network.stem)
    if not convs:
        raise FeatureError(f"The stem of {model.spec.name} has no convolution, so there are no filters to show.")
    conv = convs[0]
    kernels = _whole(conv)
    return Filters(
        kernels=kernels,
        biases=np.zeros(len(kernels), np.float32) if conv.bias is None else conv.bias.detach().float().numpy(),
        waves=strongest_waves(kernels),
        colour=_colour(kernels),
        preprocessing=model.spec.preprocessing,
        provenance=provenance(model),
    )


@dataclass(frozen=True, eq=False)
class Kernels:
    """How one channel of a convolution reads the P input planes that it reads most strongly.

    layer: 'stem' or a block. convolution: its number in the layer, from 1. planes: (P,) int64, numbers of the input
    channels. kernels: (P, H, W) float32, the norm behind the convolution folded in. norms: (P,) float32, Euclidean.
    share: in [0, 1], of all squared weights of the channel, those of these planes; NaN where all are 0.
    """

    layer: str
    convolution: int
    channel: int
    planes: np.ndarray
    kernels: np.ndarray
    norms: np.ndarray
    share: float

    def pictures(self) -> np.ndarray:
        """(P, H, W, 3) uint8; a weight of 0 is mid grey, the one farthest from 0 of all planes black or white."""
        return grey_pictures(self.kernels)


@dataclass(frozen=True)
class Convolution:
    """The size of a convolution: of its kernels in pixels, and how many channels it reads and makes."""

    size: tuple[int, int]
    inputs: int
    outputs: int

    def describe(self) -> str:
        """In words."""
        return f"{self.size[0]} × {self.size[1]}, {self.inputs} to {self.outputs} channels"


def convolutions(model: Model, layer: str) -> tuple[Convolution, ...]:
    """The convolutions of the stem, or of a block's branch, in order. Raises FeatureError if there is no such layer."""
    return tuple(
        Convolution((conv.kernel_size[0], conv.kernel_size[1]), conv.in_channels, conv.out_channels)
        for conv in _of_layer(model, layer)[1]
    )


def kernels(model: Model, layer: str, convolution: int, channel: int, k: int = 16) -> Kernels:
    """How one channel of a convolution reads its k strongest input planes, by weights alone.

    layer: 'stem', a block (its branch), or a stage for its last block. convolution: its number there, from 1.
    Raises FeatureError if there is no such layer, convolution or channel.
    """
    name, convs = _of_layer(model, layer)
    if not 1 <= convolution <= len(convs):
        raise FeatureError(f"{name} has convolutions from 1 to {len(convs)}, but got {convolution}.")
    weights = _whole(convs[convolution - 1])
    need_channel(f"convolution {convolution} of {name}", len(weights), channel)
    chosen = weights[channel]  # (I, H, W)
    norms = np.sqrt(np.square(chosen).sum((1, 2)))  # (I,)
    planes = np.argsort(-norms, kind="stable")[:k]
    total = np.square(norms, dtype=np.float64).sum()
    share = float(np.square(norms[planes], dtype=np.float64).sum() / total) if total > 0 else np.nan
    return Kernels(name, convolution, channel, planes, chosen[planes], norms[planes], share)


def grey_pictures(values: np.ndarray) -> np.ndarray:
    """Kernels (P, H, W) as (P, H, W, 3) uint8 on one scale: 0 is mid grey, what is farthest from it black or white."""
    return np.repeat(_shades(values)[..., None], 3, 3)


def _shades(values: np.ndarray) -> np.ndarray:
    top = np.abs(values).max(initial=0)
    return np.rint(MIDDLE + MIDDLE * (values / top if top > 0 else values)).astype(np.uint8)


def _colour(kernels: np.ndarray) -> np.ndarray:
    """(O,): the share of squared weights that is left when each plane has the mean of all planes taken away."""
    exact = kernels.astype(np.float64)
    total = np.square(exact).sum((1, 2, 3))
    rest = np.square(exact - exact.mean(1, keepdims=True)).sum((1, 2, 3))
    return np.divide(rest, total, out=np.zeros_like(total), where=total > 0)


def _of_layer(model: Model, layer: str) -> tuple[str, list[nn.Conv2d]]:
    name = layer_named(model.network, layer)
    return name, _convolutions(model.network.stem if name == STEM else dict(model.network.blocks())[name].branch)


def _convolutions(layers: nn.Module) -> list[nn.Conv2d]:
    """With the norms behind them folded in, on the CPU; those inside of gates, which see no places, are left out."""
    with torch.inference_mode(False), torch.no_grad():
        made = folded(layers)
    return [layer for layer in made.children() if isinstance(layer, nn.Conv2d)]


def _whole(conv: nn.Conv2d) -> np.ndarray:
    """(O, I, H, W) float32, with zeros for the input planes of other groups."""
    return over_all_inputs(conv.weight.detach().float().numpy(), conv.groups)
