"""Draws differences between two groups of images: of means with intervals, and AUROC."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme
from viz.figures.channels.bars import short


def contrasts(
    names: Sequence[str], said: Sequence[str], difference: np.ndarray, low: np.ndarray, high: np.ndarray,
    auroc: np.ndarray,
) -> go.Figure:  # fmt: skip
    """Difference of means with its interval beside AUROC, a row a name, the first on top. (R,) numbers each.

    said: what the pointer tells of each before the numbers. Filled dots are of intervals without 0.
    """
    places = np.arange(len(names))
    sure = (low > 0) | (high < 0)
    texts = [
        f"{theme.plain(text)}<br>difference {middle:.3g} ({least:.3g} to {most:.3g})<br>AUROC {area:.3f}"
        for text, middle, least, most, area in zip(said, difference, low, high, auroc, strict=True)
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
        x=auroc - 0.5, base=0.5, y=places, orientation="h", showlegend=False, hovertext=texts,
        marker_color=[theme.ORANGE if value >= 0.5 else theme.GREY for value in auroc],
        hovertemplate="%{hovertext}<extra></extra>", row=1, col=2,
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": theme.GREY, "width": 1, "dash": "dot"}, row=1, col=1)
    theme.style(figure, 110 + 23 * max(2, len(names)))
    figure.layout.margin.update(l=10, t=10)
    figure.update_yaxes(
        tickvals=places, ticktext=[theme.plain(short(name)) for name in names], range=[len(names) - 0.5, -0.5],
        automargin=True, showgrid=False, zeroline=False,
    )  # fmt: skip
    figure.update_yaxes(showticklabels=False, row=1, col=2)
    figure.update_xaxes(gridcolor=theme.GRID, zerolinecolor=theme.GRID, automargin=True)
    figure.update_xaxes(title="difference of means", row=1, col=1)
    figure.update_xaxes(title="AUROC", range=[0, 1], tickvals=[0, 0.5, 1], row=1, col=2)
    return figure
