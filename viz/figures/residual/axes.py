"""What the figures of residual branches share: the axis along depth, logarithmic axes, error bars."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from features.residual import BlockStatistics
from viz import theme

LOG_TICKS = [digit * 10.0**power for power in range(-4, 4) for digit in (1, 1.5, 2, 3, 5, 7)]


def along_depth(
    figure: go.Figure, names: Sequence[str], stages: Sequence[str], height: int = 400, axis: str = "xaxis"
) -> go.Figure:
    """The common depth axis, with a line and a name at every stage's start."""
    theme.style(figure, height)
    layout = figure.layout
    layout.margin.t, layout.margin.b, layout.legend.y = 30, 110, -0.42 * 400 / height
    layout[axis].update(
        categoryorder="array", categoryarray=list(names), title="block", tickangle=-60, showgrid=False,
        range=[-0.6, len(names) - 0.4],
    )  # fmt: skip
    starts = {stage: stages.index(stage) for stage in stages}
    layout.shapes += tuple(
        {"type": "line", "xref": axis.replace("axis", ""), "x0": start - 0.5, "x1": start - 0.5, "yref": "paper",
         "y0": 0, "y1": 1, "line": {"color": theme.GREY, "width": 1}}
        for start in starts.values() if start
    )  # fmt: skip
    layout.annotations += tuple(
        {"xref": axis.replace("axis", ""), "x": start - 0.4, "y": 1, "yref": "paper", "yanchor": "bottom",
         "xanchor": "left", "text": stage, "showarrow": False}
        for stage, start in starts.items()
    )  # fmt: skip
    return figure


def logarithmic(figure: go.Figure, title: str) -> None:
    """A logarithmic axis with plain numbers at its ticks."""
    figure.update_yaxes(title=title, type="log", tickvals=LOG_TICKS, ticktext=[f"{tick:g}" for tick in LOG_TICKS])


def whiskers(low: np.ndarray, middle: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    """Error bars from low to high around a middle."""
    return {
        "type": "data", "symmetric": False, "array": high - middle, "arrayminus": middle - low, "thickness": 1.2,
        "width": 3,
    }  # fmt: skip


def shortcut_colours(statistics: BlockStatistics) -> list[str]:
    """A colour for every block: of its kind of shortcut."""
    return [theme.SHORTCUT_COLOURS[kind] for kind in statistics.shortcuts]


def gridded(figure: go.Figure) -> go.Figure:
    """The shared look for the axes of subplots beyond the first."""
    figure.update_xaxes(gridcolor=theme.GRID, zerolinecolor=theme.GRID)
    figure.update_yaxes(gridcolor=theme.GRID, zerolinecolor=theme.GRID)
    return figure
