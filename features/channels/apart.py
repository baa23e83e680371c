"""What sets a selection of images apart from others: how each channel's mean differs between the two."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.channels.results import Channels
from features.channels.selectivity import Sums, auroc, differences
from features.errors import FeatureError
from features.selection import Selection

LEAST = 2  # images on each side, of which a variance can be told


@dataclass(frozen=True, eq=False)
class Apart:
    """How N selected images differ from M others at each of a layer's C channels, by their means over positions.

    mean, others_mean: (C,) of both. difference: the selected ones' mean less the others'; low, high: its 95 % interval,
    by Welch's t for unequal variances, of each channel by itself. auroc: in [0, 1], how often a selected image has the
    larger mean of two, one of each side, ties as half. (C,) float64 each.
    """

    layer: str
    mean: np.ndarray
    others_mean: np.ndarray
    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    auroc: np.ndarray
    n_images: int
    n_others: int

    @property
    def order(self) -> np.ndarray:
        """(C,) int64, the channels that tell the two apart best first, whichever way: by |AUROC - 1/2|."""
        return np.argsort(-np.abs(self.auroc - 0.5), kind="stable")

    def table(self) -> pd.DataFrame:
        """One row per channel, in their `order`: its numbers, in the layer's own unit but for the AUROC."""
        order = self.order
        columns: dict[str, Any] = {"layer": self.layer, "channel": order, "auroc": self.auroc[order]}
        columns |= {name: getattr(self, name)[order] for name in ("difference", "low", "high", "mean", "others_mean")}
        return pd.DataFrame(columns)


def apart(told: Channels, layer: str, selected: Selection, others: Selection | None = None) -> Apart:
    """What sets some images of a set apart.

    selected, others: of the set that was measured; others: None for all images that are not selected; images of both
    count as selected. Of a very large set those that were sampled count alone.
    Raises FeatureError if the layer was not measured, a selection is of another set, or either side has fewer than 2
    images that were read.
    """
    chosen = told.layer(layer)
    inside, outside = _sides(told, selected, others)
    counts = int(inside.sum()), int(outside.sum())
    if min(counts) < LEAST:
        raise FeatureError(
            f"Two images on both sides are needed to compare them, but got {counts[0]:,} and {counts[1]:,}. Select "
            "others."
        )
    rows = inside | outside
    values = chosen.means.astype(np.float64)  # (M, C)
    one, other = (_sums(values[side]) for side in (inside, outside))
    difference, low, high = (each[0] for each in differences(one, other))  # (C,) each
    return Apart(
        layer=chosen.name,
        mean=values[inside].mean(0),
        others_mean=values[outside].mean(0),
        difference=difference,
        low=low,
        high=high,
        auroc=auroc(chosen.means[rows], inside[rows][:, None])[0],
        n_images=counts[0],
        n_others=counts[1],
    )


def _sums(values: np.ndarray) -> Sums:
    """Of one group of images (R, C), as `differences` takes it."""
    return np.array([[len(values)]]), values.sum(0)[None], np.square(values).sum(0)[None]


def _sides(told: Channels, selected: Selection, others: Selection | None) -> tuple[np.ndarray, np.ndarray]:
    """(M,) bool each, which of the sampled images are on either side."""
    for each in (selected, others):
        if each is not None and (each.images, each.n_images) != (told.provenance.images_digest, len(told.ids)):
            raise FeatureError(
                "The selection is of another set than the one that was measured. Select among the same images."
            )
    inside = selected.mask[told.sample_rows]
    return inside, (~inside if others is None else others.mask[told.sample_rows] & ~inside)
