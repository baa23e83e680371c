"""Draws how accuracy falls on worse pictures: over the strengths of a corruption, over the radius of an attack."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from viz import theme
from viz.figures.residual.axes import along_depth, logarithmic

if TYPE_CHECKING:
    from features.residual import BlockStatistics
    from features.robustness import Attacked, Robustness
    from features.shares import Share

HEIGHT = 270


def corruption(told: "Sequence[Robustness]", family: str, title: str) -> go.Figure:
    """Accuracy of every network over a family's strengths, with the images as they are as the first; 95 % intervals."""
    figure = go.Figure()
    for number, each in enumerate(told):
        curve = next(curve for curve in each.curves if curve.family == family)
        texts = ["as they are", *(f"{strength:.3g} {curve.unit}" for strength in curve.strengths)]
        _line(figure, list(range(len(texts))), [each.clean, *curve.shares], texts, each.network, number)
    theme.style(figure, HEIGHT, theme.plain(title))
    figure.layout.xaxis.update(title="strength, 0 for none", dtick=1)
    return _shares(figure, alone=len(told) == 1)


def attack(told: "Sequence[Attacked]", title: str) -> go.Figure:
    """Accuracy of every network over the radius within which the worst picture is looked for; 95 % intervals."""
    figure = go.Figure()
    for number, each in enumerate(told):
        levels = [255 * epsilon if each.norm == "linf" else epsilon for epsilon in each.epsilons]
        texts = [f"radius {epsilon:.4g} of pixels from 0 to 1" for epsilon in each.epsilons]
        _line(figure, levels, each.shares, texts, each.network, number)
    theme.style(figure, 340, theme.plain(title))
    grey_levels = bool(told) and told[0].norm == "linf"
    figure.layout.xaxis.update(title="radius, grey levels of 255" if grey_levels else "radius, pixels from 0 to 1")
    return _shares(figure, alone=len(told) == 1)


def ratios(intact: "BlockStatistics", worse: "BlockStatistics", alike: bool) -> go.Figure:
    """|F| / |x| of one picture along depth, as it is and worse, on a logarithmic axis. alike: whether both are one."""
    figure = go.Figure()
    pairs = [("as it is", intact, theme.GREY), ("worse", worse, theme.BLUE)]
    for name, each, colour in pairs[:1] if alike else pairs:
        figure.add_scatter(
            x=list(each.blocks), y=each.ratios[0], name=name, mode="lines+markers", marker={"size": 7},
            line={"color": colour, "width": 1.5}, hovertemplate="%{x}: %{y:.3f}<extra>" + name + "</extra>",
        )  # fmt: skip
    logarithmic(figure, "|F| / |x|")
    return along_depth(figure, intact.blocks, intact.stages, 340)


def _line(
    figure: go.Figure, x: "Sequence[float]", shares: "Sequence[Share]", texts: Sequence[str], name: str, number: int
) -> None:
    values = [share.value for share in shares]
    ends = [share.interval for share in shares]
    figure.add_scatter(
        x=list(x), y=values, name=theme.plain(name), mode="lines+markers", customdata=texts,
        marker={
            "color": theme.category_colour(number), "size": 7, "symbol": theme.SYMBOLS[number % len(theme.SYMBOLS)]
        },
        error_y={
            "type": "data", "symmetric": False, "thickness": 1, "width": 2,
            "array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
            "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)],
        },
        hovertemplate="%{customdata}: %{y:.1%}<extra>" + theme.plain(name) + "</extra>",
    )  # fmt: skip


def _shares(figure: go.Figure, alone: bool) -> go.Figure:
    figure.layout.yaxis.update(title="accuracy", range=[0, 1.03], tickformat=".0%")
    figure.layout.update(showlegend=not alone)
    figure.layout.legend.update(y=-0.32)
    return figure
