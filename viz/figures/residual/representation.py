"""Draws how far every block moves the representation, and what can be read off it."""

from itertools import compress

import numpy as np
import plotly.graph_objects as go

from features.residual import KEPT, BlockStatistics
from viz import theme
from viz.figures.residual.axes import along_depth, logarithmic


def movement(statistics: BlockStatistics) -> go.Figure:
    """How alike a block's input and output are: linear CKA over images, and the cosine of each image."""
    figure = go.Figure()
    figure.add_scatter(
        x=list(statistics.blocks), y=statistics.cka, name="linear CKA", mode="lines+markers",
        line={"color": theme.BLUE}, marker={"size": 8}, hovertemplate="%{x}: CKA %{y:.3f}<extra></extra>",
    )  # fmt: skip
    kept = statistics.means[KEPT]
    known = ~np.isnan(kept)
    if known.any():
        figure.add_scatter(
            x=list(compress(statistics.blocks, known)), y=kept[known],
            name="cosine, where the shape stays", mode="markers",
            marker={"color": theme.ORANGE, "symbol": "diamond", "size": 9},
            hovertemplate="%{x}: cosine %{y:.3f}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(title="input and output alike", range=[0, 1.03])
    return along_depth(figure, statistics.blocks, statistics.stages)


def readout(statistics: BlockStatistics) -> go.Figure:
    """How well the classes can be read off each block: by the nearest class mean, and by the network's own head."""
    figure = go.Figure()
    figure.add_scatter(
        x=list(statistics.blocks), y=statistics.class_mean_accuracy, name="nearest class mean", mode="lines+markers",
        line={"color": theme.BLUE}, marker={"size": 8}, hovertemplate="%{x}: %{y:.1%}<extra></extra>",
    )  # fmt: skip
    known = ~np.isnan(statistics.head_accuracy)
    if known.any():
        names = list(compress(statistics.blocks, known))
        figure.add_scatter(
            x=names, y=statistics.head_accuracy[known], name="the network's own head", mode="lines+markers",
            line={"color": theme.ORANGE}, marker={"symbol": "diamond", "size": 9},
            hovertemplate="%{x}: %{y:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(title="accuracy", tickformat=".0%", range=[0, 1.03])
    return along_depth(figure, statistics.blocks, statistics.stages)


def rank(statistics: BlockStatistics) -> go.Figure:
    """In how many directions the pooled output varies, beside how many channels it has."""
    figure = go.Figure()
    figure.add_scatter(
        x=list(statistics.blocks), y=statistics.widths, name="channels", mode="lines",
        line={"color": theme.GREY, "shape": "hvh"}, hovertemplate="%{x}: %{y} channels<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=list(statistics.blocks), y=statistics.effective_rank, name="effective rank", mode="lines+markers",
        line={"color": theme.BLUE}, marker={"size": 8}, hovertemplate="%{x}: %{y:.1f}<extra></extra>",
    )  # fmt: skip
    logarithmic(figure, "directions")
    return along_depth(figure, statistics.blocks, statistics.stages)
