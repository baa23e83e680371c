"""Draws networks side by side: accuracy over cost, slices in which they differ, how alike their stages are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from viz import theme

if TYPE_CHECKING:
    from features.compare import Compared, Contender
    from features.similarity import Similarity

HEAT = ((0.0, "rgba(0, 114, 178, 0)"), (1.0, theme.BLUE))
DARK = 0.6  # of a cell whose colour wants white numbers
MOST_NUMBERED = 12  # stages of which each cell says its number


def undominated(contenders: "Sequence[Contender]") -> list[bool]:
    """Of each network whether none is both at least as accurate and at most as costly, and better in one of the two."""
    points = [(each.accuracy.value, -each.macs) for each in contenders]
    return [
        not any(other != one and all(a >= b for a, b in zip(other, one, strict=True)) for other in points)
        for one in points
    ]


def cost(contenders: "Sequence[Contender]") -> go.Figure:
    """Accuracy with its interval over multiply-adds; grey what another network beats in both."""
    figure = go.Figure()
    for number, (each, kept) in enumerate(zip(contenders, undominated(contenders), strict=True)):
        share, (low, high), name = each.accuracy, each.accuracy.interval, theme.plain(each.name)
        symbol = theme.SYMBOLS[number % len(theme.SYMBOLS)]
        colour = theme.category_colour(number) if kept else theme.GREY
        figure.add_scatter(
            x=[each.macs / 1e9], y=[share.value], mode="markers", name=name,
            marker={"size": 11, "color": colour, "symbol": symbol if kept else f"{symbol}-open"},
            error_y={"type": "data", "array": [high - share.value], "arrayminus": [share.value - low],
                     "color": colour, "thickness": 1.2, "width": 4},
            hovertemplate=f"{name}<br>{share.value:.2%} ({low:.1%} to {high:.1%})<br>%{{x:.3g}} GFLOPs, "
            f"{each.parameters:,} parameters<extra></extra>",
        )  # fmt: skip
    theme.style(figure, 360)
    figure.layout.showlegend = True
    figure.layout.xaxis.update(
        title="GFLOPs (multiply-adds) an image", range=[0, 1.25 * max(each.macs for each in contenders) / 1e9]
    )
    figure.layout.yaxis.update(title="accuracy", tickformat=".1%")
    return figure


def slices(compared: "Sequence[Compared]") -> go.Figure:
    """The second network's accuracy minus the first's in each slice, with intervals that hold all at once."""
    names = [theme.plain(f"{each.slice.by}: {each.slice.name}") for each in compared]
    values = [each.agreement.difference for each in compared]
    colours = [theme.GREY if not each.differs else theme.BLUE if each.agreement.difference > 0 else theme.RED
               for each in compared]  # fmt: skip
    figure = go.Figure(
        go.Scatter(
            x=values, y=names, mode="markers", marker={"size": 9, "color": colours}, showlegend=False,
            error_x={
                "type": "data", "array": [each.interval[1] - each.agreement.difference for each in compared],
                "arrayminus": [each.agreement.difference - each.interval[0] for each in compared],
                "color": theme.GREY, "thickness": 1.2, "width": 3,
            },
            customdata=[[each.agreement.n_images, each.p_value] for each in compared],
            hovertemplate="%{y}<br>%{x:+.1%} of %{customdata[0]:,} images, p = %{customdata[1]:.2g}<extra></extra>",
        )
    )  # fmt: skip
    theme.style(figure, 110 + 26 * len(names))
    figure.add_vline(x=0, line={"color": theme.GREY, "dash": "dot", "width": 1})
    figure.layout.xaxis.update(title="difference of accuracies", tickformat="+.0%")
    figure.layout.yaxis.update(autorange="reversed", automargin=True)
    return figure


def similarity(told: "Similarity", first: str, second: str) -> go.Figure:
    """Every stage of the first network (rows) beside every stage of the second, in the order of depth.

    Colours are clipped to 0 to 1, numbers never: unbiased values may lie below 0.
    """
    texts = [[f"{value:.2f}" for value in row] for row in told.values]
    few = max(told.values.shape) <= MOST_NUMBERED
    hover = [
        [f"{row} and {column}<br>{value:.3f}, by chance {chance:.3f}"
         for column, value, chance in zip(told.columns, values, chances, strict=True)]
        for row, values, chances in zip(told.rows, told.values, told.chance, strict=True)
    ]  # fmt: skip
    figure = go.Figure(
        go.Heatmap(
            z=np.clip(told.values, 0, 1), x=list(told.columns), y=list(told.rows), zmin=0, zmax=1, colorscale=HEAT,
            hovertext=hover, hovertemplate="%{hovertext}<extra></extra>", xgap=1, ygap=1,
            colorbar={"thickness": 10, "outlinewidth": 0, "len": 0.8},
        )
    )  # fmt: skip
    if few:
        figure.layout.annotations = [
            {
                "x": column, "y": row, "text": texts[number][place], "showarrow": False,
                "font": {"size": 12} | ({"color": "white"} if told.values[number, place] > DARK else {}),
            }
            for number, row in enumerate(told.rows)
            for place, column in enumerate(told.columns)
        ]  # fmt: skip
    theme.style(figure, 150 + 44 * len(told.rows))
    figure.layout.xaxis.update(title=theme.plain(second), type="category", showgrid=False)
    figure.layout.yaxis.update(title=theme.plain(first), type="category", autorange="reversed", showgrid=False)
    return figure
