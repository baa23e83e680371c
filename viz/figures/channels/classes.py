"""Draws how a channel tells each class from all other images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.channels.bars import at_both_ends, short

if TYPE_CHECKING:
    from features.channels import Selectivity

FIRST, LAST = 12, 4  # of more classes than both together, those at either end


def selective(told: "Selectivity", channel: int, counts: Sequence[int]) -> go.Figure:
    """Difference of means with its 95 % interval beside AUROC, a row a class, the highest AUROC on top.

    counts: (K,), images of each class. Filled dots are of intervals without 0.
    """
    rows = shown_classes(told.auroc[:, channel])
    names = [theme.plain(short(told.names[row])) for row in rows]
    places = np.arange(len(rows))
    difference, low, high = (values[rows, channel] for values in (told.difference, told.low, told.high))
    sure = (low > 0) | (high < 0)
    texts = [
        f"{theme.plain(told.names[row])}, {counts[row]:,} images<br>difference {told.difference[row, channel]:.3g}"
        f" ({told.low[row, channel]:.3g} to {told.high[row, channel]:.3g})<br>AUROC {told.auroc[row, channel]:.3f}"
        for row in rows
    ]
    figure = make_subplots(1, 2, shared_yaxes=True, column_widths=[0.62, 0.38], horizontal_spacing=0.04)
    figure.add_scatter(
        x=difference, y=places, mode="markers", showlegend=False, hovertext=texts,
        marker={"size": 9, "color": [theme.BLUE if each else "rgba(0, 0, 0, 0)" for each in sure],
                "line": {"color": theme.BLUE, "width": 1.5}},
        error_x={"type": "data", "symmetric": False, "array": high - difference, "arrayminus": difference - low,
                 "thickness": 1.2, "width": 3, "color": theme.BLUE},
        hovertemplate="%{hovertext}<extra></extra>", row=1, col=1,
    )  # fmt: skip
    figure.add_bar(
        x=told.auroc[rows, channel] - 0.5, base=0.5, y=places, orientation="h", showlegend=False, hovertext=texts,
        marker_color=[theme.ORANGE if value >= 0.5 else theme.GREY for value in told.auroc[rows, channel]],
        hovertemplate="%{hovertext}<extra></extra>", row=1, col=2,
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": theme.GREY, "width": 1, "dash": "dot"}, row=1, col=1)
    theme.style(figure, 110 + 23 * max(2, len(rows)))
    figure.layout.margin.update(l=10, t=10)
    figure.update_yaxes(
        tickvals=places, ticktext=names, range=[len(rows) - 0.5, -0.5], automargin=True, showgrid=False, zeroline=False
    )
    figure.update_yaxes(showticklabels=False, row=1, col=2)
    figure.update_xaxes(gridcolor=theme.GRID, zerolinecolor=theme.GRID, automargin=True)
    figure.update_xaxes(title="difference of means", row=1, col=1)
    figure.update_xaxes(title="AUROC", range=[0, 1], tickvals=[0, 0.5, 1], row=1, col=2)
    return figure


def shown_classes(auroc: np.ndarray) -> np.ndarray:
    """The classes (k,) that are shown of K, the highest AUROC (K,) first: all, or of many those at either end."""
    known = np.flatnonzero(~np.isnan(auroc))
    return known[at_both_ends(auroc[known], FIRST, LAST)]
