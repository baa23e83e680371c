"""Draws a layer's channels in an order."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from viz.figures.channels.bars import bars

if TYPE_CHECKING:
    from features.channels import Channels, Ranked

FIRST, LAST = 16, 4  # of more channels than both together, those at either end


def ranked_of(_told: "Channels", ranked: "Ranked") -> go.Figure:
    """The first and the last channels of an order, beside what was measured of all: a bar each."""
    count = len(ranked.channels)
    places = [*range(count)] if count <= FIRST + LAST else [*range(FIRST), *range(count - LAST, count)]
    names = [f"channel {ranked.channels[at]}" for at in places]
    return bars(names, ranked.values[places], f"{ranked.title}, {ranked.layer}")
