"""Draws the branches of all networks along relative depth, and what each loses with every block left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from viz import theme

if TYPE_CHECKING:
    from features.compare.depth import AlongDepth

TICKS = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5)]
LEAST_RATIO = 1e-4  # a branch that adds nothing has no place on a logarithmic axis
FEW = 3  # networks of which the spread over images is drawn
CROWD = 5  # networks, above which a panel has the whole width
NAMES_A_ROW = 4  # in the legend


@dataclass(frozen=True)
class _Panel:
    """title: of the panel. values: a network -> (B,) or (B, 3) of its blocks, None where it has none. said: how the
    pointer tells a value. line: drawn across for comparison.
    """

    title: str
    values: Callable[["AlongDepth"], np.ndarray | None]
    said: str
    line: float
    logarithmic: bool = False


def along_depth(told: "Sequence[AlongDepth]") -> go.Figure:
    """|F| / |x|, cosine, branch share, and what is lost without each block: a panel for each that any network has.

    Medians over images, with the range of 90 % of them where networks are few. One colour a network, in all panels; a
    click on its name in the legend takes it out of all.
    """
    panels = [panel for panel in _panels(told) if any(panel.values(each) is not None for each in told)]
    columns = 1 if len(told) > CROWD else max(1, min(2, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = make_subplots(
        rows, columns, subplot_titles=[panel.title for panel in panels], horizontal_spacing=0.1,
        vertical_spacing=0.34 / rows if rows > 1 else 0,
    )  # fmt: skip
    for number_of_panel, panel in enumerate(panels):
        at = {"row": number_of_panel // columns + 1, "col": number_of_panel % columns + 1}
        for number, each in enumerate(told):
            if (values := panel.values(each)) is not None:
                figure.add_trace(_line(each, number, values, panel, len(told)), **at)
        figure.add_hline(panel.line, line={"color": theme.GREY, "dash": "dot", "width": 1}, **at)
        _axes(figure, panel, at)
    _name_networks(figure, told)
    names = -(-len(told) // NAMES_A_ROW)
    theme.style(figure, 60 + 280 * rows + 20 * names)
    figure.layout.margin.update(t=40, b=70 + 20 * names)
    figure.layout.legend.update(y=-65 / (280 * rows - 50), yanchor="top")
    return figure


def _panels(told: "Sequence[AlongDepth]") -> tuple[_Panel, ...]:
    judged = all(each.lost.judged for each in told if each.lost is not None)
    return (
        _Panel("|F| / |x|", lambda each: each.ratios, "%{y:.3g}", 1, logarithmic=True),
        _Panel("cos(F, x)", lambda each: each.cosines, "%{y:.3f}", 0),
        _Panel("branch's share of the variance", lambda each: each.shares, "%{y:.1%}", 0.5),
        _Panel(
            "accuracy lost without the block" if judged else "predictions that change without the block",
            lambda each: _lost(each, judged), "%{y:.1%}", 0,
        ),
    )  # fmt: skip


def _lost(each: "AlongDepth", judged: bool) -> np.ndarray | None:
    """As `Lost.lost`, of all networks the same quantity."""
    if each.lost is None:
        return None
    return each.lost.lost if judged else 1 - each.lost.agreement


def _line(each: "AlongDepth", number: int, values: np.ndarray, panel: _Panel, networks: int) -> go.Scatter:
    """One network in one panel. values: (B,) or (B, 3), of which the middle ones are drawn, and the spread as bars
    unless there are many networks.
    """
    colour, name = theme.category_colour(number), theme.plain(each.name)
    middle = values if values.ndim == 1 else values[:, 1]
    if panel.logarithmic:
        middle = np.where(middle > LEAST_RATIO, middle, np.nan)
    bars: dict[str, Any] = {}
    if networks <= FEW and values.ndim == 2:
        bars["error_y"] = {
            "type": "data", "array": values[:, 2] - middle, "arrayminus": middle - values[:, 0], "thickness": 1,
            "width": 2,
        }  # fmt: skip
    return go.Scatter(
        x=each.depths, y=middle, mode="lines+markers", name=name, legendgroup=str(number), showlegend=False,
        line={"color": colour, "width": 1.6}, text=each.blocks,
        marker={"symbol": _symbol(number), "size": 4 if networks > CROWD else 6},
        hovertemplate=f"{name}<br>%{{text}}: {panel.said}<extra></extra>", **bars,
    )  # fmt: skip


def _symbol(number: int) -> str:
    return theme.SYMBOLS[number % len(theme.SYMBOLS)]


def _name_networks(figure: go.Figure, told: "Sequence[AlongDepth]") -> None:
    """The legend, as traces without points, since no network is in every panel."""
    for number, each in enumerate(told):
        figure.add_scatter(
            x=[None], y=[None], mode="lines+markers", name=theme.plain(each.name), legendgroup=str(number),
            line={"color": theme.category_colour(number), "width": 1.6}, showlegend=True,
            marker={"symbol": _symbol(number), "size": 6}, hoverinfo="skip",
        )  # fmt: skip


def _axes(figure: go.Figure, panel: _Panel, at: dict[str, int]) -> None:
    figure.update_xaxes(
        title="relative depth", range=[-0.03, 1.03], gridcolor=theme.GRID, zerolinecolor=theme.GRID, **at
    )
    figure.update_yaxes(gridcolor=theme.GRID, zerolinecolor=theme.GRID, **at)
    if panel.logarithmic:
        figure.update_yaxes(type="log", tickvals=TICKS, ticktext=[f"{tick:g}" for tick in TICKS], **at)
    elif "%" in panel.said[1:]:
        figure.update_yaxes(tickformat=".0%", **at)
