"""Draws two networks' maps of the same images on each other, and the images whose neighbours changed most."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme

if TYPE_CHECKING:
    from features.compare.movers import Movers

TOP = 12
TOO_MANY = 12  # classes for colours of their own
BINS = 16


def moved(told: "Movers", labels: Sequence[str] | None = None, top: int = TOP) -> go.Figure:
    """Both maps with the same axes, the second on the first; the `top` images that changed most are numbered in both.

    labels: (N,) names, for colours of up to twelve. Every point's customdata is its number among the N images, for a
    selection that is made in either.
    """
    figure = make_subplots(
        1, 2, shared_xaxes="all", shared_yaxes="all", horizontal_spacing=0.03,
        subplot_titles=(theme.plain(told.first), theme.plain(told.second)),
    )  # fmt: skip
    names = sorted(set(labels)) if labels is not None else []
    coloured = 0 < len(names) <= TOO_MANY
    number = {name: index for index, name in enumerate(names)}
    colours = [theme.category_colour(number[name]) for name in labels or ()] if coloured else theme.BLUE
    texts = [_said(told, row, None if labels is None else labels[row]) for row in range(len(told))]
    first = told.order[:top]
    for column, points in enumerate(told.points, start=1):
        figure.add_scatter(
            x=points[:, 0], y=points[:, 1], mode="markers", showlegend=False, text=texts, row=1, col=column,
            marker={"color": colours, "size": 6, "opacity": 0.55}, customdata=np.arange(len(told)),
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=points[first, 0], y=points[first, 1], mode="markers+text", row=1, col=column, customdata=first,
            text=[str(rank) for rank in range(1, len(first) + 1)], textposition="top center", textfont={"size": 13},
            marker={"color": "rgba(0,0,0,0)", "size": 12, "line": {"color": theme.GREY, "width": 2.5}},
            name=f"the {len(first)} whose neighbours changed most", showlegend=column == 1, legendgroup="movers",
            hovertext=[texts[row] for row in first], hovertemplate="%{hovertext}<extra></extra>",
        )  # fmt: skip
    if coloured:
        _name_classes(figure, names)
    theme.style(figure, 470)
    figure.layout.margin.update(t=40, l=20)
    figure.layout.legend.y = -0.06
    figure.layout.update(clickmode="event+select")
    figure.update_xaxes(showticklabels=False, gridcolor=theme.GRID, zeroline=False)
    figure.update_yaxes(showticklabels=False, gridcolor=theme.GRID, zeroline=False)
    return figure


def _said(told: "Movers", row: int, label: str | None) -> str:
    name = theme.plain(told.ids[row]) + ("" if label is None else f"<br>{theme.plain(label)}")
    return f"{name}<br>{told.changed[row]:.0%} of {told.k} neighbours are others"


def _name_classes(figure: go.Figure, names: Sequence[str]) -> None:
    """The legend, as traces without points: those of a map are one trace, whose numbers selections tell."""
    for index, name in enumerate(names):
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=theme.plain(name), hoverinfo="skip",
            marker={"color": theme.category_colour(index), "size": 9},
        )  # fmt: skip


def changed(told: "Movers") -> go.Figure:
    """How many images changed how large a share of their neighbours, and how large it would be for strangers."""
    width = 1 / min(BINS, told.k)
    edges = np.arange(round(1 / width) + 2) * width - width / 2
    counts, _ = np.histogram(told.changed, edges)
    figure = go.Figure(
        go.Bar(
            x=(edges[1:] + edges[:-1]) / 2, y=counts, width=0.94 * width, marker={"color": theme.BLUE},
            showlegend=False,
            hovertemplate=f"%{{x:.0%}} of {told.k} neighbours are others<br>%{{y:,}} images<extra></extra>",
        )
    )  # fmt: skip
    figure.add_vline(
        told.chance,
        line={"color": theme.GREY, "dash": "dot"},
        annotation_text="strangers",
        annotation_position="top left",
    )
    theme.style(figure, 280)
    figure.layout.margin.t = 30
    figure.layout.xaxis.update(
        title=f"share of the {told.k} nearest that are others", tickformat=".0%", range=[-width, 1 + width]
    )
    figure.layout.yaxis.update(title="images")
    return figure
