"""Draws what the variance of every block's sum is made of, and how signals grow along depth."""

import numpy as np
import plotly.graph_objects as go

from features.residual import BRANCH, OUTPUT, SHORTCUT, SUM, BlockStatistics
from viz import theme
from viz.figures.residual.axes import along_depth, logarithmic


def budget(statistics: BlockStatistics) -> go.Figure:
    """What the variance of each block's sum is made of: x's, F's and twice their covariance, as shares of it."""
    whole = np.array([channels.variance(SUM) for channels in statistics.channels])  # (B,)
    parts = {
        "shortcut": (theme.BLUE, [channels.variance(SHORTCUT) for channels in statistics.channels]),
        "branch": (theme.ORANGE, [channels.variance(BRANCH) for channels in statistics.channels]),
        "both together (2 × covariance)": (theme.GREY, [2 * channels.covariance for channels in statistics.channels]),
    }
    figure = go.Figure()
    for name, (colour, values) in parts.items():
        shares = np.divide(values, whole, out=np.full(len(whole), np.nan), where=whole > 0)
        figure.add_bar(
            x=list(statistics.blocks), y=shares, name=name, marker_color=colour,
            hovertemplate="%{x}, " + name + ": %{y:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(barmode="relative")
    figure.add_hline(y=1, line={"color": theme.GREY, "dash": "dot"})
    figure.update_yaxes(title="share of the sum's variance", tickformat=".0%")
    return along_depth(figure, statistics.blocks, statistics.stages)


def propagation(statistics: BlockStatistics) -> go.Figure:
    """How signals grow along depth: the output's average channel variance and squared mean, the branch's variance."""
    parts = statistics.channels
    lines = {
        "output: average channel variance": (theme.BLUE, "circle", [part.variance(OUTPUT) for part in parts]),
        "output: average channel squared mean": (theme.GREEN, "square", [part.squared_mean(OUTPUT) for part in parts]),
        "branch: average channel variance": (theme.ORANGE, "diamond", [part.variance(BRANCH) for part in parts]),
    }
    figure = go.Figure()
    for name, (colour, symbol, values) in lines.items():
        figure.add_scatter(
            x=list(statistics.blocks), y=values, name=name, mode="lines+markers",
            line={"color": colour}, marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x}: %{y:.3g}<extra>" + name + "</extra>",
        )  # fmt: skip
    logarithmic(figure, "activation squared")
    return along_depth(figure, statistics.blocks, statistics.stages)
