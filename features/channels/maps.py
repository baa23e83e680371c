"""The maps of one picture at a layer: what every channel answers where, and what each says for a class."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from features.channels.evidence import Logit, slope
from features.channels.layers import STEM, layer_named, need_channel
from features.channels.results import Layer
from features.devices import device_of
from features.engine import FastNetwork, forward
from features.engine.forward import Keep, Step
from features.errors import FeatureError
from features.networks.zoo import Model
from features.registry import Registry
from features.results import Provenance, finite, provenance

OUTPUT, SUM, BRANCH, SHORTCUT = "output", "sum", "branch", "shortcut"
MAXIMUM, MEAN, EVIDENCE, AGAINST, INDEX = "maximum", "mean", "evidence", "against", "index"


@dataclass(frozen=True)
class Part:
    """What of a block maps are of. name: in links and on the command line; title: for people."""

    name: str
    title: str


PARTS = Registry(
    "part of a block",
    (
        Part(OUTPUT, "the output"),
        Part(SUM, "branch + shortcut, before the activation"),
        Part(BRANCH, "the branch"),
        Part(SHORTCUT, "the shortcut"),
    ),
)


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """One picture's maps of the C channels of a layer.

    layer: 'stem' or a block. part: a name of PARTS. values: (C, H, W) float32, at the layer's own resolution.
    evidence: (C,) float64, the sum over positions of value times the logit's gradient there, in units of the logit: how
    much the logit would lose, as far as it is linear, without the channel. None where no class was asked for.
    logit: whose evidence it is, in words; score: its value.
    """

    layer: str
    part: str
    values: np.ndarray
    evidence: np.ndarray | None
    logit: str
    score: float | None
    provenance: Provenance

    @property
    def n_channels(self) -> int:
        return len(self.values)

    @property
    def maxima(self) -> np.ndarray:
        """(C,) float32, the greatest value of each map, as `Layer.maxima` of the same layer's output."""
        return self.values.max((1, 2))

    @property
    def means(self) -> np.ndarray:
        """(C,) float64, over positions."""
        return self.values.mean((1, 2), dtype=np.float64)

    def need(self, channel: int) -> np.ndarray:
        """One channel's map, (H, W). Raises FeatureError if there is no such channel."""
        need_channel(self.layer, self.n_channels, channel)
        return self.values[channel]

    def order(self, name: str) -> np.ndarray:
        """(C,) int64, all channels as an entry of ORDERS has them; equal ones by number.

        Raises FeatureError for an order that does not exist, and for one by evidence without a class.
        """
        return np.argsort(-ORDERS.need(name).key(self), kind="stable")

    def share_below(self, layer: Layer, channel: int) -> float:
        """The share of the images of a set whose maximum of a channel is smaller than this picture's.

        layer: the same layer, measured; of the images whose numbers were kept.
        Raises FeatureError for another layer, and for maps of other parts than the output, which is what was measured.
        """
        if self.part != OUTPUT or layer.name != self.layer:
            raise FeatureError(
                f"The output of {layer.name} was measured, but these are maps of {self.layer}, {self.part}. Choose the "
                "output of the same layer."
            )
        return float((layer.maxima[:, channel] < self.need(channel).max()).mean())

    def table(self) -> pd.DataFrame:
        """One row per channel: layer, part, channel; maximum, minimum, mean over positions; evidence, with a class."""
        columns = {
            "layer": self.layer,
            "part": self.part,
            "channel": np.arange(self.n_channels),
            "maximum": self.maxima,
            "minimum": self.values.min((1, 2)),
            "mean": self.means,
        }
        return pd.DataFrame(columns if self.evidence is None else {**columns, "evidence": self.evidence})


@dataclass(frozen=True)
class Order:
    """A way to sort the maps of one picture. title: for people. key: (C,), the largest first."""

    name: str
    title: str
    key: Callable[[FeatureMaps], np.ndarray]


def _evidence(maps: FeatureMaps) -> np.ndarray:
    if maps.evidence is None:
        raise FeatureError("No class was asked for, so no channel speaks for one. Sort by another order.")
    return maps.evidence


ORDERS = Registry(
    "order of maps",
    (
        Order(MAXIMUM, "strength: the maximum over positions", lambda maps: maps.maxima),
        Order(MEAN, "strength: the mean size over positions", lambda maps: np.abs(maps.values).mean((1, 2))),
        Order(EVIDENCE, "evidence for the class", _evidence),
        Order(AGAINST, "evidence against the class", lambda maps: -_evidence(maps)),
        Order(INDEX, "number", lambda maps: -np.arange(maps.n_channels)),
    ),
)


def feature_maps(
    model: Model, picture: Image.Image, layer: str, part: str = OUTPUT, logit: Logit | None = None
) -> FeatureMaps:
    """What every channel of a layer makes of a picture, in fp32, and what it says for a class (None: for none).

    layer: 'stem', a block, or a stage for its last block. part: a name of PARTS; of the stem there is the output alone.
    One gradient serves a block's branch, its shortcut and their sum, so that evidence adds up as maps do.
    Raises FeatureError for a layer, part or class that does not exist, for a logit of a network without a classifier,
    and if the network puts out NaN or infinite values; ImageError if the picture has other planes than it takes.
    """
    name = layer_named(model.network, layer)
    PARTS.need(part)
    if name == STEM and part != OUTPUT:
        raise FeatureError(f"The stem has no {part}, only an output. Choose a block, or the output.")
    if logit is not None:
        model.need_classifier()
    preprocessing, device = model.spec.preprocessing, device_of(model.network)
    network = FastNetwork(model.network, preprocessing, torch.float32, device)
    at = -1 if name == STEM else [block for block, _ in network.blocks()].index(name)
    with torch.inference_mode():
        pixels = preprocessing.framed(picture)[None].to(device, memory_format=torch.channels_last)
        stem, steps = _walk(network, pixels, at, part != OUTPUT, up=logit is not None)
        values = finite(stem if at < 0 else _part(steps[0], part), model)  # (1, C, H, W)
        told = None if logit is None else slope(model, network, steps, at, part != OUTPUT, logit)
        evidence = None if told is None else (told.gradient.double() * values.double()).sum((0, 2, 3))  # (C,)
    return FeatureMaps(
        layer=name,
        part=part,
        values=values[0].cpu().contiguous().numpy(),
        evidence=None if evidence is None else evidence.cpu().numpy(),
        logit="" if told is None else told.name,
        score=None if told is None else told.value,
        provenance=provenance(model).with_settings(layer=name, part=part),
    )


def _walk(network: FastNetwork, pixels: Tensor, at: int, apart: bool, up: bool) -> tuple[Tensor, list[Step]]:
    """The stem's output and the steps from block `at` (-1: from the first) to itself or, if `up`, to the last.

    apart: whether block `at` keeps its two terms apart.
    """
    stem = network.stem(pixels)
    blocks = list(network.blocks())
    walked = forward.steps(
        blocks if up else blocks[: at + 1], stem, lambda index: Keep(apart and index == at, up and index > at)
    )
    return stem, [step for step in walked if step.index >= at]


def _part(step: Step, part: str) -> Tensor:
    """(1, C, H, W), of the walk's memory."""
    if part == OUTPUT:
        return step.output
    assert step.parts is not None  # the walk kept them apart
    return {SUM: step.parts.total, BRANCH: step.parts.branch, SHORTCUT: step.parts.shortcut}[part]
