"""Draws how gradients flow through paths of each length."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from features.residual import Paths
from viz import theme
from viz.figures.residual.axes import gridded


def by_length(paths: Paths) -> go.Figure:
    """How many paths have each length, how much gradient one of them carries, and how much all of them together."""
    titles = ("paths of each length", "gradient along one path", "gradient through all of them")
    figure = make_subplots(1, 3, subplot_titles=titles, horizontal_spacing=0.09)
    figure.add_bar(
        x=paths.lengths, y=paths.share, marker_color=theme.GREY, showlegend=False,
        hovertemplate="length %{x}: %{y:.1%} of the paths<extra></extra>", row=1, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=paths.lengths, y=paths.single, mode="lines+markers", line={"color": theme.BLUE}, showlegend=False,
        error_y={"type": "data", "array": paths.error, "width": 3, "thickness": 1.2},
        hovertemplate="length %{x}: norm %{y:.3g}<extra></extra>", row=1, col=2,
    )  # fmt: skip
    figure.add_bar(
        x=paths.lengths, y=paths.flow, marker_color=theme.ORANGE, name="number of paths × one path's norm",
        error_y={"type": "data", "array": paths.flow_error, "width": 3, "thickness": 1.2},
        hovertemplate="length %{x}: %{y:.1%}<extra></extra>", row=1, col=3,
    )  # fmt: skip
    figure.add_scatter(
        x=paths.lengths, y=paths.together_share, mode="lines+markers", line={"color": theme.GREEN},
        name="norm of their sum, exact", hovertemplate="length %{x}: %{y:.1%}<extra></extra>", row=1, col=3,
    )  # fmt: skip
    theme.style(figure, 400)
    figure.layout.margin.t = 50
    last = int(paths.lengths[-1])
    figure.update_xaxes(title="branches on the path", range=[-0.6, last + 0.6], dtick=max(1, last // 8))
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(tickformat=None, row=1, col=2)
    return gridded(figure)
