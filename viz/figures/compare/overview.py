"""Draws networks side by side: accuracy over cost, slices in which they differ."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from viz import theme

if TYPE_CHECKING:
    from features.compare import Compared, Contender


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
