"""What each channel of the last stage adds to each logit, exactly."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from features import engine
from features.devices import device_of
from features.errors import FeatureError
from features.networks.layout import HEAD_POOLS
from features.networks.zoo import Model
from features.results import Provenance, finite, provenance


@dataclass(frozen=True, eq=False)
class Contributions:
    """What the C channels that the head pools add to each of K logits, as the mean over N images.

    values: (K, C) float64, a channel's pooled value times its weight. biases: (K,) float64, the classifier's.
    logits: (K,) float64, values.sum(1) + biases. class_names: (K,), or one for two classes with a single logit.
    """

    values: np.ndarray
    biases: np.ndarray
    class_names: tuple[str, ...]
    n_images: int
    provenance: Provenance

    @property
    def logits(self) -> np.ndarray:
        return self.values.sum(1) + self.biases

    def table(self) -> pd.DataFrame:
        """One row per class and channel: class, channel, contribution, in units of the logit."""
        n_classes, n_channels = self.values.shape
        return pd.DataFrame(
            {
                "class": np.repeat(np.array(self.class_names, object), n_channels),
                "channel": np.tile(np.arange(n_channels), n_classes),
                "contribution": self.values.ravel(),
            }
        )

    def as_dict(self) -> dict[str, Any]:
        """The facts and sums as JSON can hold them; the numbers of single channels are in `table`."""
        return {
            "n_images": self.n_images,
            "classes": [
                {"name": name, "bias": float(bias), "logit": float(logit)}
                for name, bias, logit in zip(self.class_names, self.biases, self.logits, strict=True)
            ],
            "provenance": self.provenance.as_dict(),
        }


def contributions(model: Model, features: np.ndarray) -> Contributions:
    """What each channel of the last stage adds to each logit, as the mean over some images.

    features: (N, D), of the head's pool: the stage 'pool' of `extract.features`, all images or some rows of it; of a
    network whose classifier sees means, also `Layer.means` of the last block. Where a head pools both means and maxima,
    a channel's two features count together. Where it normalises before it pools, channels are those behind the norm.
    Raises FeatureError for networks without a classifier, or with one of several layers, whose logits are no sums over
    channels, and for features of another width or none.
    """
    fc = _need_linear(model)
    if features.ndim != 2 or features.shape[1] != fc.in_features or not len(features):
        raise FeatureError(
            f"Wanted at least one row of {fc.in_features} pooled features, but got an array of {features.shape}. Give "
            "the stage 'pool' of features of the same network."
        )
    weights = fc.weight.detach().double().cpu().numpy()  # (K, D)
    biases = np.zeros(len(weights)) if fc.bias is None else fc.bias.detach().double().cpu().numpy()  # (K,)
    single = weights * features.mean(0, dtype=np.float64)  # (K, D)
    pool = HEAD_POOLS[model.network.head_pool]
    parts = 1 if pool.mixed else len(pool.takes)
    return Contributions(
        values=single.reshape(len(single), parts, -1).sum(1),  # (K, C), features of one kind lie behind each other
        biases=biases,
        class_names=_names(model, len(biases)),
        n_images=len(features),
        provenance=provenance(model),
    )


def of_picture(model: Model, picture: Image.Image) -> Contributions:
    """As `contributions`, of one picture. Raises FeatureError as that does, and for NaN or infinite values."""
    _need_linear(model)
    device = device_of(model.network)
    network = engine.FastNetwork(model.network, model.spec.preprocessing, torch.float32, device)
    with torch.inference_mode():
        pixels = model.spec.preprocessing.framed(picture)[None].to(device, memory_format=torch.channels_last)
        features = finite(dict(network.walk(pixels))[engine.POOLED], model)  # (1, D)
    return contributions(model, features.float().cpu().numpy())


def is_sum_of_means(model: Model) -> bool:
    """Whether logits are sums over the means of the last block's channels, so that `contributions` takes these."""
    return isinstance(model.network.classifier, nn.Linear) and model.network.sees_means


def _need_linear(model: Model) -> nn.Linear:
    model.need_classifier()
    fc = model.network.classifier
    if not isinstance(fc, nn.Linear):
        raise FeatureError(
            f"A logit of {model.spec.name} is no sum over channels: its head has several layers. Take what gradients "
            "say of channels instead."
        )
    return fc


def _names(model: Model, n_logits: int) -> tuple[str, ...]:
    """Of the logits' classes: of a single logit the class that it speaks for."""
    names = model.spec.classes
    return names if len(names) == n_logits else names[-n_logits:]
