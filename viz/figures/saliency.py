"""Draws what a network says of one image."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from viz import theme

TOP = 5


def top_classes(probabilities: np.ndarray, names: Sequence[str], explained: int) -> go.Figure:
    """The five likeliest classes as bars, the explained one in another colour. probabilities: (K,)."""
    order = np.argsort(-probabilities, kind="stable")[:TOP]
    shown = [theme.plain(names[index]) for index in order]
    places = list(range(len(order)))  # not the names: ImageNet has two classes called maillot
    figure = go.Figure(
        go.Bar(
            x=probabilities[order],
            y=places,
            hovertext=shown,
            orientation="h",
            marker_color=[theme.ORANGE if index == explained else theme.BLUE for index in order],
            text=[f"{probabilities[index]:.1%}" for index in order],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{hovertext}: %{x:.2%}<extra></extra>",
        )
    )
    theme.style(figure, 60 + 34 * len(order))
    figure.update_xaxes(range=[0, 1.15], tickformat=".0%", title="probability (softmax)", fixedrange=True)
    figure.update_yaxes(autorange="reversed", automargin=True, tickvals=places, ticktext=shown, fixedrange=True)
    return figure.update_layout(margin={"l": 10, "r": 10, "t": 5, "b": 45})
