"""Measures what is lost without each channel of a layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from features.channels.layers import STEM, layer_named
from features.channels.lesions import Silenced, need_channels
from features.datasets import ImageSet, Rejected, labels
from features.datasets.decoding import Batch, through
from features.devices import device_of
from features.effects import Effects
from features.engine import FastNetwork, forward
from features.networks.canonical import ResidualBlock
from features.networks.zoo import Model
from features.progress import Task
from features.results import Provenance, finite, provenance


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

    @property
    def judged(self) -> bool:
        """Whether the images' labels told how accurate the network is."""
        return not np.isnan(self.intact_accuracy)

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
        return {
            "layer": self.layer,
            "n_channels": len(self.channels),
            "n_images": self.n_images,
            "n_rejected": len(self.rejected),
            "intact_accuracy": self.intact_accuracy if self.judged else None,
            "intact_true_probability": self.intact_true_probability if self.judged else None,
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
    chosen = list(channels) or list(range(need_channels(model, name, channels)))
    need_channels(model, name, chosen)
    network = FastNetwork(model.network, model.spec.preprocessing, torch.float32, device_of(model.network))
    below, above = _parted(network, name)
    matched = labels.matched(model.spec, images)
    effects = Effects(len(chosen), model.spec.outputs)

    def work(batch: Batch) -> Iterator[float]:
        maps = _maps(network, below, batch.pixels)  # (N, C, H, W)
        truth = matched.at(batch.rows)
        targets = None if truth is None else torch.from_numpy(truth).to(maps.device)
        effects.begin(finite(_logits(network, above, maps), model), targets)
        for index, channel in enumerate(chosen):
            effects.add(index, _logits(network, above, maps, channel))
            yield (index + 1) / len(chosen)

    rows, rejected = yield from through(model, images, work)
    made = provenance(model, images).with_settings(labels_matched=matched.how, layer=name)
    n_images = len(rows)
    accuracy, probability = (effects.intact / n_images).tolist()
    return ChannelSweep(
        layer=name,
        channels=np.array(chosen, np.int64),
        accuracy=effects.right / n_images,
        true_probability=effects.probability / n_images,
        agreement=effects.same / n_images,
        intact_accuracy=accuracy,
        intact_true_probability=probability,
        n_images=n_images,
        rejected=rejected,
        provenance=made,
    )


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
    x = maps if channel is None else Silenced([channel], maps.shape[1]).to(maps.device)(maps)
    return cast(nn.Module, network.classifier)(network.pooled(forward.through(above, x)))
