"""Draws which channels are silent, and how much the last BatchNorm of a branch lets through."""

import numpy as np
import plotly.graph_objects as go

from features.residual import BlockStatistics
from viz import theme
from viz.figures.residual.axes import along_depth, shortcut_colours, whiskers

RANKS = 128


def silent(statistics: BlockStatistics) -> go.Figure:
    """Every block's channels as a column, those that are most often zero on top; colour is the share of zeros."""
    ranks = np.linspace(0, 1, RANKS)
    columns = [np.sort(channels.sparsity) for channels in statistics.channels]
    values = np.stack([np.interp(ranks, np.linspace(0, 1, len(column)), column) for column in columns], axis=1)
    figure = go.Figure(
        go.Heatmap(
            x=list(statistics.blocks),
            y=ranks,
            z=values,
            zmin=0,
            zmax=1,
            colorscale="Cividis_r",
            colorbar={"title": "zeros", "tickformat": ".0%", "thickness": 12},
            hovertemplate="%{x}: %{z:.1%} zeros at %{y:.0%} of the channels<extra></extra>",
        )
    )
    figure.update_yaxes(title="channels, sorted", tickformat=".0%", range=[0, 1])
    return along_depth(figure, statistics.blocks, statistics.stages)


def negative(statistics: BlockStatistics) -> go.Figure:
    """The share of the sum's values that the block's ReLU sets to zero."""
    figure = go.Figure(
        go.Bar(
            x=list(statistics.blocks),
            y=statistics.negative,
            marker_color=shortcut_colours(statistics),
            hovertemplate="%{x}: %{y:.1%} below zero<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_yaxes(title="share below zero", tickformat=".0%", range=[0, 1])
    return along_depth(figure, statistics.blocks, statistics.stages)


def dead(statistics: BlockStatistics) -> go.Figure:
    """The share of a block's output channels that are zero everywhere on every image."""
    share = statistics.dead / statistics.widths
    figure = go.Figure(
        go.Bar(
            x=list(statistics.blocks),
            y=share,
            marker_color=shortcut_colours(statistics),
            customdata=np.stack([statistics.dead, statistics.widths], axis=1),
            hovertemplate="%{x}: %{customdata[0]} of %{customdata[1]} channels<extra></extra>",
            showlegend=False,
        )
    )
    if not statistics.dead.any():
        figure.add_annotation(
            x=0.5, y=0.5, xref="paper", yref="paper", text="no dead channel in any block", showarrow=False,
            bgcolor=theme.GREY, font={"color": "white"}, borderpad=4,
        )  # fmt: skip
    top = max(0.05, 1.15 * float(share.max(initial=0)))
    figure.update_yaxes(title="dead channels", tickformat=".0%", range=[0, min(1.0, top)])
    return along_depth(figure, statistics.blocks, statistics.stages)


def gamma(statistics: BlockStatistics) -> go.Figure | None:
    """The absolute scales of each branch's last BatchNorm: median and the range of 90 % of the channels."""
    known = [block for block, channels in zip(statistics.blocks, statistics.channels, strict=True)
             if channels.gamma is not None]  # fmt: skip
    if not known:
        return None
    sizes = [np.abs(channels.gamma) for channels in statistics.channels if channels.gamma is not None]
    low, middle, high = np.array([np.percentile(values, (5, 50, 95)) for values in sizes]).T
    figure = go.Figure()
    figure.add_scatter(
        x=known, y=middle, mode="lines+markers", showlegend=False,
        line={"color": theme.GREY, "width": 1}, marker={"color": theme.BLUE, "size": 9},
        error_y=whiskers(low, middle, high),
        hovertemplate="%{x}: median %{y:.3f}<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(title="|gamma| of the last BatchNorm", rangemode="tozero")
    return along_depth(figure, statistics.blocks, statistics.stages)
