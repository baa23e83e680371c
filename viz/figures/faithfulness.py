"""Draws how far maps can be trusted: curves while pixels go and come, and maps of networks that forget."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from viz import theme

if TYPE_CHECKING:
    from features.faithfulness import Curves


def curves(named: Sequence[tuple[str, "Curves"]]) -> go.Figure:
    """Deletion (dashed) and insertion curves of one image, a colour for each name."""
    figure = go.Figure()
    for index, (name, both) in enumerate(named):
        for kind, dash in (("insertion", "solid"), ("deletion", "dash")):
            figure.add_scatter(
                x=both.shares,
                y=getattr(both, kind)[0],
                name=f"{theme.plain(name)}, {kind}",
                line={"color": theme.category_colour(index), "dash": dash},
                hovertemplate="%{x:.0%} of the pixels: %{y:.1%}<extra>%{fullData.name}</extra>",
            )
    theme.style(figure, 360)
    figure.update_xaxes(tickformat=".0%", title="pixels taken away or given back", fixedrange=True)
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%", title="probability of the class", fixedrange=True)
    return figure


def randomised(parts: Sequence[str], correlations: Mapping[str, np.ndarray]) -> go.Figure:
    """How alike maps stay while weights are drawn anew, a line for each tap.

    parts: P names, in the order in which they were drawn. correlations: tap -> (P,) with the maps before.
    """
    figure = go.Figure()
    for index, (tap, values) in enumerate(correlations.items()):
        figure.add_scatter(
            x=["trained", *parts],
            y=[1.0, *values.tolist()],
            name=theme.plain(tap),
            mode="lines+markers",
            line={"color": theme.category_colour(index)},
            hovertemplate="%{x}: %{y:.2f}<extra>%{fullData.name}</extra>",
        )
    theme.style(figure, 300)
    figure.add_hline(0, line={"color": theme.GREY, "width": 1})
    figure.update_xaxes(title="weights drawn anew down to here", fixedrange=True)
    return figure.update_yaxes(range=[-1.05, 1.05], title="rank correlation with the map", fixedrange=True)
