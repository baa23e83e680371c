"""Draws how a channel tells each class from all other images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from viz.figures.channels.bars import at_both_ends
from viz.figures.channels.contrasts import contrasts

if TYPE_CHECKING:
    from features.channels import Channels, Selectivity

FIRST, LAST = 12, 4  # of more classes than both together, those at either end


def selective(told: "Selectivity", channel: int, counts: Sequence[int]) -> go.Figure:
    """Difference of means with its 95 % interval beside AUROC, a row a class, the highest AUROC on top.

    counts: (K,), images of each class. Filled dots are of intervals without 0.
    """
    rows = shown_classes(told.auroc[:, channel])
    names = [told.names[row] for row in rows]
    said = [f"{told.names[row]}, {counts[row]:,} images" for row in rows]
    numbers = (values[rows, channel] for values in (told.difference, told.low, told.high, told.auroc))
    return contrasts(names, said, *numbers)


def selective_of(told: "Channels", channel: tuple[str, int]) -> go.Figure | None:
    """The same of what was measured; None without labels. channel: its layer and its number there."""
    layer, number = channel
    return selective(told.selectivity(layer), number, told.classes.counts.tolist()) if told.classes.names else None


def shown_classes(auroc: np.ndarray) -> np.ndarray:
    """The classes (k,) that are shown of K, the highest AUROC (K,) first: all, or of many those at either end."""
    known = np.flatnonzero(~np.isnan(auroc))
    return known[at_both_ends(auroc[known], FIRST, LAST)]
