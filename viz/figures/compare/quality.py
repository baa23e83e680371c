"""Draws how far networks' confidence can be trusted, and how well each does class by class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from viz import theme

if TYPE_CHECKING:
    from features.compare import Contender

MOST_CLASSES = 30


def reliability(contenders: "Sequence[Contender]") -> go.Figure:
    """Accuracy over confidence of every network, in groups of about as many answers each."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": theme.GREY}, name="as sure as right",
        hoverinfo="skip",
    )  # fmt: skip
    for number, each in enumerate(contenders):
        groups, name = each.evaluation.calibration.equal_mass, theme.plain(each.name)
        known = groups.counts > 0
        figure.add_scatter(
            x=groups.confidence[known], y=groups.accuracy[known], mode="lines+markers", name=name,
            line={"color": theme.category_colour(number), "width": 1.8},
            marker={"symbol": theme.SYMBOLS[number % len(theme.SYMBOLS)], "size": 7},
            customdata=groups.counts[known],
            hovertemplate=f"{name}<br>confidence %{{x:.1%}}, right %{{y:.1%}} of %{{customdata:,}}<extra></extra>",
        )  # fmt: skip
    theme.style(figure, 420)
    figure.layout.xaxis.update(title="confidence", range=[0, 1.02], tickformat=".0%")
    figure.layout.yaxis.update(title="accuracy", range=[0, 1.04], tickformat=".0%")
    return figure


def classes(contenders: "Sequence[Contender]") -> go.Figure:
    """F1 of every network in those classes in which they differ most."""
    names = [score.name for score in contenders[0].evaluation.per_class]
    scores = np.array([[score.f1 for score in each.evaluation.per_class] for each in contenders])  # (M, K)
    order = np.argsort(-np.ptp(scores, axis=0), kind="stable")[:MOST_CLASSES]
    texts = [theme.plain(names[column]) for column in order]
    figure = go.Figure()
    for text, column in zip(texts, order, strict=True):
        values = scores[:, column]
        figure.add_scatter(
            x=[values.min(), values.max()], y=[text, text], mode="lines", line={"color": theme.GRID, "width": 4},
            hoverinfo="skip", showlegend=False,
        )  # fmt: skip
    for number, each in enumerate(contenders):
        name = theme.plain(each.name)
        figure.add_scatter(
            x=scores[number, order], y=texts, mode="markers", name=name,
            marker={"size": 9, "color": theme.category_colour(number),
                    "symbol": theme.SYMBOLS[number % len(theme.SYMBOLS)]},
            hovertemplate=f"{name}<br>%{{y}}: %{{x:.3f}}<extra></extra>",
        )  # fmt: skip
    theme.style(figure, 140 + 24 * len(texts))
    figure.layout.xaxis.update(title="F1", side="top")
    figure.layout.yaxis.update(autorange="reversed", automargin=True)
    figure.layout.legend.update(y=-0.04)
    return figure
