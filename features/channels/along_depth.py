"""What the channels of every measured layer have in common: how silent they are, how well they tell classes apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.channels.results import QUANTILES, Channels
from features.channels.selectivity import selectivity
from features.progress import Progress, Task


@dataclass(frozen=True, eq=False)
class AlongDepth:
    """L layers, each by the distribution of two numbers over its channels.

    silent, auroc: (L, Q) float64, at QUANTILES of the channels: the share of images without a position above 0, and the
    AUROC for the class that a channel tells apart best; this is NaN without labels. always_silent: (L,) int64, channels
    that are silent on all images. best: (L,) int64, the channel with the highest AUROC, -1 without labels; best_auroc:
    (L,) float64 and best_class of each.
    """

    layers: tuple[str, ...]
    n_channels: tuple[int, ...]
    silent: np.ndarray
    always_silent: np.ndarray
    auroc: np.ndarray
    best: np.ndarray
    best_auroc: np.ndarray
    best_class: tuple[str, ...]

    @property
    def is_labelled(self) -> bool:
        return bool((self.best >= 0).any())

    def table(self) -> pd.DataFrame:
        """One row per layer; shares and AUROCs from 0 to 1."""
        columns: dict[str, Any] = {
            "layer": self.layers, "channels": self.n_channels, "always_silent": self.always_silent
        }  # fmt: skip
        columns |= _named("silent", self.silent)
        if self.is_labelled:
            columns |= _named("auroc", self.auroc)
            columns |= {"best_channel": self.best, "best_class": self.best_class, "best_auroc": self.best_auroc}
        return pd.DataFrame(columns)


def _named(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}_q{100 * share:02.0f}": row for share, row in zip(QUANTILES, values.T, strict=True)}


def along_depth(told: Channels) -> Task[AlongDepth]:
    """Sum up every layer that was measured, in the network's order."""
    labelled = bool(told.classes.names)
    silent, best = [], []
    for done, layer in enumerate(told.layers):
        yield Progress(done, len(told.layers), "layer")
        silent.append(layer.silent)
        # Not by `told.selectivity`, which would keep what takes a gigabyte for all layers and a thousand classes.
        best.append(_best(selectivity(layer, told.classes).auroc) if labelled else None)
    tops = [(-1, np.nan, "") if each is None else _top(*each, told.classes.names) for each in best]
    return AlongDepth(
        layers=tuple(layer.name for layer in told.layers),
        n_channels=tuple(layer.n_channels for layer in told.layers),
        silent=_quantiles(silent),
        always_silent=np.array([int((each == 1).sum()) for each in silent], np.int64),
        auroc=_quantiles([np.array([np.nan]) if each is None else each[0] for each in best]),
        best=np.array([channel for channel, _, _ in tops], np.int64),
        best_auroc=np.array([value for _, value, _ in tops], np.float64),
        best_class=tuple(name for _, _, name in tops),
    )


def _best(auroc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every channel the highest AUROC, NaN where no class has one, and the class's number: (C,) each."""
    return np.fmax.reduce(auroc), np.where(np.isnan(auroc), -np.inf, auroc).argmax(0)


def _top(values: np.ndarray, classes: np.ndarray, names: Sequence[str]) -> tuple[int, float, str]:
    """The channel that tells a class apart best, how well, and which class."""
    if np.isnan(values).all():
        return -1, np.nan, ""
    channel = int(np.nanargmax(values))
    return channel, float(values[channel]), names[classes[channel]]


def _quantiles(values: Sequence[np.ndarray]) -> np.ndarray:
    """(L, Q) of L layers' channels, NaN where no channel has a number."""
    kept = [each[~np.isnan(each)] for each in values]
    return np.stack([np.quantile(each, QUANTILES) if len(each) else np.full(len(QUANTILES), np.nan) for each in kept])
