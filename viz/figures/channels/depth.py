"""Draws what the channels of every layer have in common, along depth."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme

if TYPE_CHECKING:
    from features.channels import AlongDepth


def along_depth(told: "AlongDepth") -> go.Figure:
    """Silence, and with labels the best AUROC, of every layer's channels: medians, halves and 90 % of them.

    A point of the last trace is the layer's best channel; without labels there is none.
    """
    panels = 2 if told.is_labelled else 1
    figure = make_subplots(panels, 1, shared_xaxes=True, vertical_spacing=0.07)
    names = list(told.layers)
    _spread(figure, names, told.silent, theme.BLUE, "silent", ".0%", 1)
    figure.update_yaxes(title="silent on images", tickformat=".0%", range=[-0.03, 1.03], row=1, col=1)
    if told.is_labelled:
        _spread(figure, names, told.auroc, theme.ORANGE, "best AUROC", ".3f", 2)
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


def _spread(
    figure: go.Figure, names: list[str], quantiles: np.ndarray, colour: str, what: str, form: str, row: int
) -> None:
    """Thin whiskers for 90 % of the channels, thick ones for half of them, a dot for the median. quantiles: (L, 5)."""
    least, low, middle, high, most = quantiles.T
    for bottom, top, width in ((least, most, 1.5), (low, high, 6)):
        figure.add_scatter(
            x=names, y=middle, mode="markers", marker={"size": 1, "color": colour}, hoverinfo="skip", showlegend=False,
            error_y={"type": "data", "symmetric": False, "array": top - middle, "arrayminus": middle - bottom,
                     "thickness": width, "width": 0, "color": theme.faint(colour) if width > 2 else colour},
            row=row, col=1,
        )  # fmt: skip
    figure.add_scatter(
        x=names, y=middle, mode="markers", marker={"color": colour, "size": 8}, showlegend=False,
        customdata=quantiles,
        hovertemplate=f"%{{x}}: {what} %{{y:{form}}} in the median, half of the channels %{{customdata[1]:{form}}} to "
        f"%{{customdata[3]:{form}}}<extra></extra>",
        row=row, col=1,
    )  # fmt: skip
