"""Draws how far two networks look at the same part of the images, beside what chance gives."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme

if TYPE_CHECKING:
    from features.compare.looks import Alike, Looks

BINS = 24
MOST_CLASSES = 24  # of more those whose maps are least alike
RANK, IOU = "rank correlation of the maps", "IoU of the strongest {share:.0%}"
CHANCE = "maps of different images"


def alike(told: "Looks") -> go.Figure:
    """How alike the maps of each image are, in rank and in their strongest part, and how alike those of other images
    are: both as shares. Dotted lines are means.
    """
    panels = (
        (RANK, told.correlations, told.chance_correlations.ravel(), (-1.0, 1.0)),
        (IOU.format(share=told.top_share), told.ious, told.chance_ious.ravel(), (0.0, 1.0)),
    )
    figure = make_subplots(1, 2, horizontal_spacing=0.09)
    for column, (title, values, chance, (low, high)) in enumerate(panels, start=1):
        edges = np.linspace(low, high, BINS + 1)
        figure.add_bar(
            x=(edges[1:] + edges[:-1]) / 2, y=_shares(values, edges), width=0.94 * (high - low) / BINS,
            name="the same image", legendgroup="same", showlegend=column == 1, marker={"color": theme.BLUE},
            row=1, col=column,
            hovertemplate=f"{title} about %{{x:.2f}}<br>%{{y:.1%}} of the images<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=np.repeat(edges, 2)[1:-1], y=np.repeat(_shares(chance, edges), 2), mode="lines", name=CHANCE,
            line={"color": theme.ORANGE, "width": 2}, showlegend=column == 1, row=1, col=column, legendgroup="chance",
            hoverinfo="skip",
        )  # fmt: skip
        for mean, colour in ((_mean(values), theme.BLUE), (_mean(chance), theme.ORANGE)):
            if mean is not None:
                figure.add_vline(mean, line={"color": colour, "dash": "dot", "width": 1.5}, row=1, col=column)
        figure.update_xaxes(title=title, range=[low, high], row=1, col=column)
    theme.style(figure, 330)
    figure.update_xaxes(gridcolor=theme.GRID, zerolinecolor=theme.GRID)
    figure.update_yaxes(gridcolor=theme.GRID, zerolinecolor=theme.GRID, tickformat=".0%")
    figure.layout.yaxis.title = "share of images"
    figure.layout.legend.y = -0.3
    return figure


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(BINS,) of those values that are no NaN; rounding may have put some beyond the ends."""
    known = values[~np.isnan(values)]
    counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
    return counts / max(1, len(known))


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def alike_by_class(told: "Looks") -> go.Figure:
    """Means of each class with their intervals, those first whose maps are least alike, and what chance gives there."""
    shown = shown_classes(told)
    names = [f"{theme.plain(each.name)} ({each.n_images})" for each in shown]
    figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.04)
    panels = (
        (RANK, [each.correlation for each in shown], [each.chance_correlation for each in shown], (-1.04, 1.04)),
        (IOU.format(share=told.top_share), [each.iou for each in shown], [each.chance_iou for each in shown],
         (-0.02, 1.02)),
    )  # fmt: skip
    for column, (title, means, chances, ends) in enumerate(panels, start=1):
        values = np.array([[each.low, each.value, each.high] for each in means])  # (K, 3)
        figure.add_scatter(
            x=values[:, 1], y=names, mode="markers", name="the same image", legendgroup="same", row=1, col=column,
            marker={"color": theme.BLUE, "size": 9}, showlegend=column == 1,
            error_x={"type": "data", "array": values[:, 2] - values[:, 1], "arrayminus": values[:, 1] - values[:, 0],
                     "color": theme.BLUE, "thickness": 1.2, "width": 3},
            customdata=values[:, [0, 2]],
            hovertemplate="%{y}<br>%{x:.2f} (%{customdata[0]:.2f} to %{customdata[1]:.2f})<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=chances, y=names, mode="markers", name=CHANCE, legendgroup="chance", showlegend=column == 1,
            marker={"color": theme.ORANGE, "size": 9, "symbol": "diamond-open", "line": {"width": 1.6}},
            hovertemplate="%{y}<br>%{x:.2f} by chance<extra></extra>", row=1, col=column,
        )  # fmt: skip
        figure.update_xaxes(title=title, range=ends, row=1, col=column)
    theme.style(figure, 120 + 26 * max(2, len(names)))
    figure.update_xaxes(gridcolor=theme.GRID, zerolinecolor=theme.GRID)
    figure.update_yaxes(gridcolor=theme.GRID, autorange="reversed", automargin=True, type="category")
    figure.layout.legend.update(y=-60 / (26 * max(2, len(names))), yanchor="top")
    return figure


def shown_classes(told: "Looks") -> "list[Alike]":
    """The classes that are drawn, those first whose maps are least alike in rank; of very many no others."""
    known = [each for each in told.by_class if each.correlation.n]
    return sorted(known, key=lambda each: each.correlation.value)[:MOST_CLASSES]
