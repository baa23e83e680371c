"""What every channel of some layers answered to the images of a set."""

from dataclasses import dataclass
from functools import cached_property
from math import log, sqrt
from typing import Any

import numpy as np
import pandas as pd

from features.channels.extremes import Extremes
from features.channels.layers import need_channel
from features.channels.selectivity import Classes, Selectivity, selectivity
from features.datasets import Rejected
from features.errors import FeatureError
from features.results import Provenance

BINS = 32
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class Layer:
    """What the C channels of one layer's output, behind its activation, answered to N images.

    An image's mean and maximum of a channel are over the positions of its map.
    name: 'stem' or a block. stage: the one whose last block it is, '' for none. shape: (C, H, W).
    mean, variance: (C,) float64, over images, of their means. silent: (C,) float64 in [0, 1], share of images without
    a position above 0. top, bottom: the images with the highest and the lowest maxima.
    maxima, means: (M, C) float32, of the M sampled images. class_sums, class_squares: (K, C) float64, over the images
    of each class, of their means and of the squares of these.
    """

    name: str
    stage: str
    shape: tuple[int, ...]
    n_images: int
    mean: np.ndarray
    variance: np.ndarray
    silent: np.ndarray
    top: Extremes
    bottom: Extremes
    maxima: np.ndarray
    means: np.ndarray
    class_sums: np.ndarray
    class_squares: np.ndarray

    @property
    def n_channels(self) -> int:
        return self.shape[0]

    @property
    def lowest(self) -> np.ndarray:
        """(C,) float32, the smallest maximum of an image."""
        return self.bottom.values[:, 0]

    @property
    def highest(self) -> np.ndarray:
        """(C,) float32, the largest maximum of an image."""
        return self.top.values[:, 0]

    def quantiles(self, shares: tuple[float, ...] = QUANTILES) -> np.ndarray:
        """(Q, C) float64, quantiles over the sampled images of their maxima; `Channels.rank_error` says how exact."""
        return np.quantile(self.maxima.astype(np.float64), shares, axis=0)

    def histogram(self, channel: int) -> tuple[np.ndarray, np.ndarray]:
        """Of one channel's maxima over the sampled images: (BINS,) int64 counts, (BINS + 1,) float64 edges.

        The edges go from the lowest to the highest of all images, so that no sampled one lies outside.
        """
        need_channel(self.name, self.n_channels, channel)
        bounds = (float(self.lowest[channel]), float(self.highest[channel]))
        return np.histogram(self.maxima[:, channel].astype(np.float64), BINS, bounds)


@dataclass(frozen=True, eq=False)
class Channels:
    """What the channels of some layers of one network answered to the images of a set.

    ids: of all images of the set, which the rows of extremes and samples count. classes: of the images. sample_rows:
    (M,) int64, the images whose numbers are kept: all, or a sample drawn with the seed that `provenance` tells.
    """

    layers: tuple[Layer, ...]
    ids: tuple[str, ...]
    n_images: int
    classes: Classes
    sample_rows: np.ndarray
    rejected: tuple[Rejected, ...]
    provenance: Provenance

    def layer(self, name: str) -> Layer:
        """A layer by its name, or by the stage whose last block it is. Raises FeatureError if it was not measured."""
        for each in self.layers:
            if name in (each.name, each.stage):
                return each
        names = ", ".join(each.name for each in self.layers)
        raise FeatureError(f"The channels of {name} were not measured, only those of {names}. Measure them too.")

    @property
    def is_exact(self) -> bool:
        """Whether the sampled images are all that were read, so that quantiles and AUROCs are exact."""
        return len(self.sample_rows) == self.n_images

    @property
    def rank_error(self) -> float:
        """By how much the share of images below a quantile may differ from what was asked for: 0 where all are kept.

        Of a sample of M the bound that holds for all quantiles of a channel at once in 95 % of draws:
        sqrt(ln(2 / 0.05) / 2M) (Massart 1990, doi:10.1214/aop/1176990746).
        """
        return 0.0 if self.is_exact else sqrt(log(2 / 0.05) / (2 * len(self.sample_rows)))

    def selectivity(self, name: str) -> Selectivity:
        """How the channels of a layer tell each class from all other images.

        Raises FeatureError without labels, or if the layer was not measured.
        """
        layer = self.layer(name)
        if layer.name not in self._selectivities:
            self._selectivities[layer.name] = selectivity(layer, self.classes)
        return self._selectivities[layer.name]

    @cached_property
    def _selectivities(self) -> dict[str, Selectivity]:
        """Of the layers that were asked for."""
        return {}

    def table(self) -> pd.DataFrame:
        """One row per layer and channel.

        mean, deviation: over images, of the means over positions; silent: share of images; lowest, highest, q05 to q95:
        over images, of the maxima; top_image, top_row, top_column: the image with the highest and where in the map.
        With labels also the class with the highest AUROC (`best_class`), as of `Selectivity.best`, the difference of
        its mean from all others', that difference's 95 % interval, and the AUROC.
        """
        return pd.concat([self.layer_table(each.name) for each in self.layers], ignore_index=True)

    def layer_table(self, name: str) -> pd.DataFrame:
        """The rows of one layer. Raises FeatureError if it was not measured."""
        layer = self.layer(name)
        columns: dict[str, Any] = {
            "layer": layer.name,
            "channel": np.arange(layer.n_channels),
            "n_images": layer.n_images,
            "mean": layer.mean,
            "deviation": np.sqrt(layer.variance),
            "silent": layer.silent,
            "lowest": layer.lowest,
            "highest": layer.highest,
        }
        columns |= {f"q{100 * share:02.0f}": row for share, row in zip(QUANTILES, layer.quantiles(), strict=True)}
        columns["top_image"] = [self.ids[row] for row in layer.top.rows[:, 0]]
        columns["top_row"], columns["top_column"] = layer.top.positions[:, 0].T
        if self.classes.names:
            columns |= self.selectivity(layer.name).best()
        return pd.DataFrame(columns)

    def as_dict(self) -> dict[str, Any]:
        """The facts of the whole as JSON can hold them; the numbers of single channels are in `table`."""
        return {
            "n_images": self.n_images,
            "n_rejected": len(self.rejected),
            "n_sampled": len(self.sample_rows),
            "rank_error": self.rank_error,
            "class_names": list(self.classes.names),
            "layers": [
                {
                    "name": each.name,
                    "stage": each.stage,
                    "shape": list(each.shape),
                    "always_silent": int((each.silent == 1).sum()),
                    "never_silent": int((each.silent == 0).sum()),
                }
                for each in self.layers
            ],
            "provenance": self.provenance.as_dict(),
        }
