"""Draws what the channels of every layer have in common, along depth."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.channels.spread import spread

if TYPE_CHECKING:
    from features.channels import AlongDepth, Channels


def along_depth(told: "AlongDepth") -> go.Figure:
    """Silence, and with labels the best AUROC, of every layer's channels: medians, halves and 90 % of them.

    A point of the last trace is the layer's best channel; without labels there is none.
    """
    panels = 2 if told.is_labelled else 1
    figure = make_subplots(panels, 1, shared_xaxes=True, vertical_spacing=0.07)
    names = list(told.layers)
    spread(figure, names, told.silent, theme.BLUE, _said(names, told.silent, "silent", ".0%"), 1)
    figure.update_yaxes(title="silent on images", tickformat=".0%", range=[-0.03, 1.03], row=1, col=1)
    if told.is_labelled:
        spread(figure, names, told.auroc, theme.ORANGE, _said(names, told.auroc, "best AUROC", ".3f"), 2)
        said = [
            f"channel {channel}, {theme.plain(name)}"
            for channel, name in zip(told.best.tolist(), told.best_class, strict=True)
        ]
        figure.add_scatter(
            x=names, y=told.best_auroc, mode="markers", name="the best channel", hovertext=said, showlegend=False,
            marker={"color": theme.RED, "symbol": "diamond", "size": 9},
            hovertemplate="%{x}: %{hovertext}, AUROC %{y:.3f}<extra></extra>", row=2, col=1,
        )  # fmt: skip
        figure.update_yaxes(title="best AUROC", range=[None, 1.02], row=2, col=1)
    theme.style(figure, 130 + 230 * panels)
    figure.layout.margin.b = 90
    axis = {"categoryorder": "array", "categoryarray": names, "range": [-0.6, len(names) - 0.4], "showgrid": False}
    figure.update_xaxes(axis)
    figure.update_xaxes(title="layer", tickangle=-60, row=panels, col=1)
    figure.update_yaxes(gridcolor=theme.GRID, zerolinecolor=theme.GRID)
    figure.layout.update(hovermode="closest", clickmode="event+select", dragmode=False)
    return figure


def along_depth_of(_told: "Channels", depth: "AlongDepth") -> go.Figure:
    """The same, beside what was measured."""
    return along_depth(depth)


def _said(names: list[str], quantiles: np.ndarray, what: str, form: str) -> list[str]:
    """What the pointer tells of each layer."""
    return [
        f"{name}: {what} {middle:{form}} in the median, half of the channels {low:{form}} to {high:{form}}"
        for name, (_, low, middle, high, _) in zip(names, quantiles, strict=True)
    ]
