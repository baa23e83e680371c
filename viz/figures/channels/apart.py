"""Draws which channels set a selection apart."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from viz.figures.channels.contrasts import contrasts

if TYPE_CHECKING:
    from features.channels import Apart


def set_apart(told: "Apart", most: int) -> go.Figure:
    """The channels that tell both groups apart best, at most so many, the best on top: difference of means, AUROC."""
    rows = told.order[:most]
    names = [f"channel {number}" for number in rows]
    said = [
        f"channel {number}: mean {own:.3g}, of the others {other:.3g}"
        for number, own, other in zip(rows, told.mean[rows], told.others_mean[rows], strict=True)
    ]
    numbers = (values[rows] for values in (told.difference, told.low, told.high, told.auroc))
    return contrasts(names, said, *numbers)
