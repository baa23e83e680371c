"""Draws networks side by side: accuracy over cost, slices in which they differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from features.registry import Registry
from viz import theme

if TYPE_CHECKING:
    from features.compare import Compared, Contender


LEGEND_LINE = 20  # pixels
UNNUMBERED = 4  # networks that are told apart without numbers


@dataclass(frozen=True)
class CostAxis:
    """A cost that accuracy is drawn over. name: in links; title: of the axis; value: of a network, less is better."""

    name: str
    title: str
    value: "Callable[[Contender], float]"


COSTS = Registry(
    "cost",
    (
        CostAxis("GFLOPs", "GFLOPs (multiply-adds) an image", lambda each: each.macs / 1e9),
        CostAxis("parameters", "parameters", lambda each: each.parameters),
        CostAxis("MB", "MB of weights", lambda each: each.cost.weight_bytes / 1e6),
        CostAxis("latency", "milliseconds for one image, here", lambda each: 1e3 * each.cost.latency.median),
        CostAxis("memory", "MB in use, here", lambda each: each.cost.memory_bytes / 1e6),
    ),
)


def undominated(contenders: "Sequence[Contender]", over: str = "GFLOPs") -> list[bool]:
    """Of each network whether none is both at least as accurate and at most as costly, and better in one of the two."""
    cost = COSTS.need(over).value
    points = [(each.accuracy.value, -cost(each)) for each in contenders]
    return [
        not any(other != one and all(a >= b for a, b in zip(other, one, strict=True)) for other in points)
        for one in points
    ]


def cost(contenders: "Sequence[Contender]", over: str = "GFLOPs") -> go.Figure:
    """Accuracy with its interval over a cost of COSTS; grey what another network beats in both. Many are numbered."""
    figure, axis, many = go.Figure(), COSTS.need(over), len(contenders) > UNNUMBERED
    for number, (each, kept) in enumerate(zip(contenders, undominated(contenders, over), strict=True)):
        share, (low, high), name = each.accuracy, each.accuracy.interval, theme.plain(each.name)
        symbol = theme.SYMBOLS[number % len(theme.SYMBOLS)]
        colour = theme.category_colour(number) if kept else theme.GREY
        figure.add_scatter(
            x=[axis.value(each)], y=[share.value], mode="markers+text" if many else "markers",
            name=f"{number + 1} {name}" if many else name, text=str(number + 1), textposition="middle right",
            marker={"size": 11, "color": colour, "symbol": symbol if kept else f"{symbol}-open"},
            error_y={"type": "data", "array": [high - share.value], "arrayminus": [share.value - low],
                     "color": colour, "thickness": 1.2, "width": 4},
            hovertemplate=f"{name}<br>{share.value:.2%} ({low:.1%} to {high:.1%})<br>%{{x:.4g}} {axis.name}, "
            f"{each.parameters:,} parameters<extra></extra>",
        )  # fmt: skip
    lines = -(-len(contenders) // 2)  # of the legend, where two names have room beside each other
    theme.style(figure, 330 + LEGEND_LINE * lines)
    figure.layout.margin.b = 60 + LEGEND_LINE * lines
    figure.layout.legend.update(yref="container", y=0, yanchor="bottom")
    figure.layout.showlegend = True
    figure.layout.xaxis.update(title=axis.title, range=[0, 1.25 * max(map(axis.value, contenders))])
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
