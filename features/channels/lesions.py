"""Takes single channels out of a network, and measures what is lost without each."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from features.channels.layers import STEM, layer_named, need_channel
from features.datasets import ImageSet, Rejected, labels
from features.datasets.decoding import Batch, through
from features.devices import device_of
from features.engine import FastNetwork, forward
from features.errors import FeatureError
from features.networks.canonical import ResidualBlock, ResidualNetwork, freeze
from features.networks.card import Outputs
from features.networks.measured import anatomy_of
from features.networks.zoo import Model
from features.predictions import class_logits, class_probabilities, decisions, one_class
from features.progress import Task
from features.results import Provenance, finite, provenance


class Silenced(nn.Module):
    """Zeros in the place of some channels of maps (N, C, H, W), which stay as they were."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = list(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()  # (N, C, H, W)
        x[:, self.channels] = 0
        return x

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.channels))


def without(model: Model, layer: str, channels: Sequence[int]) -> Model:
    """The same network with some channels of a layer's output set to 0, for any analysis.

    layer: 'stem', a block, or a stage for its last block. It shares its parameters with the intact network, which stays
    as it was. Its key is another, so that nothing that is known of one is taken for the other's.
    Raises FeatureError if there is no such layer or channel, or one is named more than once.
    """
    name = layer_named(model.network, layer)
    if not channels:
        return model
    _need(model, name, channels)
    stages: dict[str, list[ResidualBlock]] = {}
    for block_name, block in model.network.blocks():
        changed = _silenced(block, channels) if block_name == name else block
        stages.setdefault(block_name.rsplit(".", 1)[0], []).append(changed)
    stem = model.network.stem
    if name == STEM:
        stem = nn.Sequential(OrderedDict([*stem.named_children(), (f"silenced{len(stem)}", Silenced(channels))]))
    told = f"without channel{'s' * (len(channels) > 1)} {', '.join(map(str, channels))} of {name}"
    return Model(
        network=freeze(ResidualNetwork(stem, stages, model.network.head)),
        spec=replace(model.spec, name=f"{model.spec.name} {told}"),
        digest=model.digest,
        variant=f"{model.variant}, {told}" if model.variant else told,
    )


def _silenced(block: ResidualBlock, channels: Sequence[int]) -> ResidualBlock:
    """The block with some channels of its output set to 0, on the same parameters."""
    return ResidualBlock(block.shortcut, block.branch, nn.Sequential(block.activation, Silenced(channels)))


def _need(model: Model, layer: str, channels: Sequence[int]) -> int:
    """How many channels a layer has. Raises FeatureError if some are not among them, or are named more than once."""
    parts = anatomy_of(model.network, model.spec.architecture, model.spec.preprocessing.crop).parts
    count = next(part.outputs[0] for part in parts if part.name == layer)
    for channel in channels:
        need_channel(layer, count, channel)
    if len(set(channels)) < len(channels):
        raise FeatureError(f"A channel of {layer} is named more than once in {list(channels)}. Name each once.")
    return count


@dataclass(frozen=True, eq=False)
class ChannelSweep:
    """What N images lose without each of L channels of a layer, one at a time.

    channels: (L,) int64. accuracy: (L,) share of images classified rightly, as of `Predictions.correct`;
    true_probability: (L,) mean probability of the true class; both NaN where labels are missing or do not fit the
    network's classes. agreement: (L,) share of images of which the same is predicted as with all channels. All float64.
    """

    layer: str
    channels: np.ndarray
    accuracy: np.ndarray
    true_probability: np.ndarray
    agreement: np.ndarray
    intact_accuracy: float
    intact_true_probability: float
    n_images: int
    rejected: tuple[Rejected, ...]
    provenance: Provenance

    def table(self) -> pd.DataFrame:
        """One row per channel, with its numbers in shares of 1; accuracy_lost: the intact accuracy less its own."""
        return pd.DataFrame(
            {
                "layer": self.layer,
                "channel": self.channels,
                "n_images": self.n_images,
                "accuracy": self.accuracy,
                "accuracy_lost": self.intact_accuracy - self.accuracy,
                "true_probability": self.true_probability,
                "agreement": self.agreement,
            }
        )

    def as_dict(self) -> dict[str, Any]:
        """The facts of the whole as JSON can hold them; the numbers of single channels are in `table`."""
        judged = not np.isnan(self.intact_accuracy)
        return {
            "layer": self.layer,
            "n_channels": len(self.channels),
            "n_images": self.n_images,
            "n_rejected": len(self.rejected),
            "intact_accuracy": self.intact_accuracy if judged else None,
            "intact_true_probability": self.intact_true_probability if judged else None,
            "provenance": self.provenance.as_dict(),
        }


def sweep(model: Model, images: ImageSet, layer: str, channels: Sequence[int] = ()) -> Task[ChannelSweep]:
    """Measure what is lost without each channel of a layer, in fp32; what lies below it is computed once for all.

    layer: as of `without`. channels: none for all of the layer's.
    Raises DatasetError if no image can be read, FeatureError if there is no classifier, as `without` does, or if the
    intact network puts out NaN or infinite values.
    """
    model.need_classifier()
    name = layer_named(model.network, layer)
    chosen = list(channels) or list(range(_need(model, name, channels)))
    _need(model, name, chosen)
    network = FastNetwork(model.network, model.spec.preprocessing, torch.float32, device_of(model.network))
    below, above = _parted(network, name)
    matched = labels.matched(model.spec, images)
    sums = _Sums(len(chosen), model.spec.outputs)

    def work(batch: Batch) -> Iterator[float]:
        maps = _maps(network, below, batch.pixels)  # (N, C, H, W)
        truth = matched.at(batch.rows)
        targets = None if truth is None else torch.from_numpy(truth).to(maps.device)
        sums.begin(finite(_logits(network, above, maps), model), targets)
        for index, channel in enumerate(chosen):
            sums.add(index, _logits(network, above, maps, channel))
            yield (index + 1) / len(chosen)

    rows, rejected = yield from through(model, images, work)
    made = provenance(model, images).with_settings(labels_matched=matched.how, layer=name)
    return sums.result(name, np.array(chosen, np.int64), len(rows), rejected, made)


def _parted(network: FastNetwork, layer: str) -> tuple[list[ResidualBlock], list[ResidualBlock]]:
    """The blocks up to a layer, itself included, and those above it."""
    names, blocks = [name for name, _ in network.blocks()], [block for _, block in network.blocks()]
    at = 0 if layer == STEM else names.index(layer) + 1
    return blocks[:at], blocks[at:]


# Not around the loops above: a generator would leave inference mode with whoever it has handed something to.
@torch.inference_mode()
def _maps(network: FastNetwork, below: Sequence[ResidualBlock], pixels: Tensor) -> Tensor:
    x = network.stem(pixels.to(device_of(network), memory_format=torch.channels_last))
    return forward.through(below, x)  # (N, C, H, W)


@torch.inference_mode()
def _logits(network: FastNetwork, above: Sequence[ResidualBlock], maps: Tensor, channel: int | None = None) -> Tensor:
    """(N, K) logits of a layer's maps (N, C, H, W), without one of its channels or with all of them."""
    x = maps if channel is None else Silenced([channel])(maps)
    return cast(nn.Module, network.classifier)(network.pooled(forward.through(above, x)))


class _Sums:
    """Sums over images, in float64, for each of L channels."""

    def __init__(self, n_channels: int, outputs: Outputs) -> None:
        self.outputs = outputs
        self.right, self.probability, self.same = np.zeros((3, n_channels))
        self.intact = np.zeros(2)

    def begin(self, logits: Tensor, targets: Tensor | None) -> None:
        """What the intact network makes of a batch. logits: (N, K); targets: (N,), None if unknown."""
        self.targets = targets
        self.predicted = decisions(class_logits(logits, self.outputs), self.outputs)
        self.intact += self._right(class_logits(logits, self.outputs))

    def add(self, index: int, logits: Tensor) -> None:
        """What it makes of the same batch without a channel."""
        logits = class_logits(logits, self.outputs)
        right, probability = self._right(logits)
        self.right[index] += right
        self.probability[index] += probability
        self.same[index] += int((decisions(logits, self.outputs) == self.predicted).all(1).sum())

    def _right(self, logits: Tensor) -> np.ndarray:
        """How many are right, and their true classes' probabilities in all; NaN where these are unknown."""
        if self.targets is None:
            return np.full(2, np.nan)
        probabilities = class_probabilities(logits.double(), self.outputs).gather(1, self.targets[:, None])
        right = (decisions(logits, self.outputs) == one_class(self.targets, logits.shape[1])).all(1)
        return np.array([int(right.sum()), float(probabilities.sum())])

    def result(
        self, layer: str, channels: np.ndarray, n: int, rejected: tuple[Rejected, ...], made: Provenance
    ) -> ChannelSweep:
        accuracy, probability = (float(value) / n for value in self.intact)
        return ChannelSweep(
            layer, channels, self.right / n, self.probability / n, self.same / n, accuracy, probability, n, rejected,
            made,
        )  # fmt: skip
