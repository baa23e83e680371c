"""Draws how alike the channels of two networks are."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.channels.spread import spread

if TYPE_CHECKING:
    from features.channels import Beside

COLOURS = (theme.BLUE, theme.ORANGE)
APART = 0.16  # of the two networks from the middle of their layer


def most_alike(told: "Beside") -> go.Figure:
    """The highest correlation of every channel with one of the other network, layer by layer.

    Of each network medians, halves and 90 % of its channels; a grey dash is what 95 % stay below by chance.
    """
    figure = make_subplots(1, 1)
    for side, colour in enumerate(COLOURS):
        places = np.arange(len(told.layers)) + (2 * side - 1) * APART
        matches = [layer.matches[side] for layer in told.layers]
        quantiles = np.array([each.quantiles for each in matches])  # (L, 5)
        said = [
            f"{layer.name} of {theme.plain(told.names[side])}: r {made.median:.2f} in the median, "
            f"{made.beyond_chance:.0%} beyond chance, {int(made.mutual.sum()):,} of {len(made.channels):,} mutual"
            for layer, made in zip(told.layers, matches, strict=True)
        ]
        spread(figure, places.tolist(), quantiles, colour, said, 1)
        figure.add_scatter(
            x=places, y=[each.limit for each in matches], mode="markers", showlegend=False, hoverinfo="skip",
            marker={"symbol": "line-ew", "size": 18, "line": {"color": theme.GREY, "width": 2}},
        )  # fmt: skip
        figure.add_scatter(  # for the legend: what is drawn is in parts
            x=[None], y=[None], mode="markers", name=theme.plain(told.names[side]), marker={"color": colour, "size": 9}
        )
    figure.add_scatter(
        x=[None], y=[None], mode="markers", name="95 % by chance",
        marker={"symbol": "line-ew", "size": 14, "line": {"color": theme.GREY, "width": 2}},
    )  # fmt: skip
    theme.style(figure, 380)
    figure.update_xaxes(
        tickvals=list(range(len(told.layers))), ticktext=[layer.name for layer in told.layers],
        range=[-0.6, len(told.layers) - 0.4], showgrid=False, zeroline=False,
    )  # fmt: skip
    figure.update_yaxes(title="highest correlation", range=[min(0, _least(told)) - 0.03, 1.03])
    return figure


def _least(told: "Beside") -> float:
    values = np.array([made.quantiles[0] for layer in told.layers for made in layer.matches])
    return float(np.nanmin(values)) if np.isfinite(values).any() else 0.0
