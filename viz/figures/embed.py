"""Draws images as points on a plane."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from features.embed.projection import Moved, Projection
from viz import theme

TOO_MANY = 12
FEW_POINTS = 3000


def scatter(
    projection: Projection,
    groups: np.ndarray,
    group_names: Sequence[str],
    texts: Sequence[str],
    places: np.ndarray,
    selected: Sequence[int] = (),
) -> go.Figure:
    """One trace of N points, coloured by group.

    groups: (N,) indices into group_names. texts: (N,) lines for the pointer, parted by '|'. places: (N,)
    each point's picture on the hover sheet. selected: points that stand out, if there are any. A single trace,
    so that a selection's point numbers are rows of the result.
    """
    few = len(group_names) <= TOO_MANY
    colours = [theme.category_colour(index) for index in range(len(group_names))]
    marker: dict[str, Any] = {
        "size": 7 if len(groups) <= FEW_POINTS else 4,
        "color": groups,
        "opacity": 0.85,
        "line": {"width": 0},
    }
    if few:  # numbers and a scale of steps: Plotly would check a colour's name for every point
        steps = len(colours)
        scale = [(place / steps, colour) for index, colour in enumerate(colours) for place in (index, index + 1)]
        marker |= {"colorscale": scale, "cmin": -0.5, "cmax": steps - 0.5}
    else:
        marker["colorscale"] = "Turbo"
    # Up to some thousands of points SVG answers faster, and needs no WebGL, which some machines only emulate.
    kind = go.Scatter if len(groups) <= FEW_POINTS else go.Scattergl
    figure = go.Figure(
        kind(
            x=projection.points[:, 0],
            y=projection.points[:, 1],
            mode="markers",
            marker=marker,
            customdata=list(zip(places.tolist(), texts, strict=True)),
            hoverinfo="none",
            showlegend=False,
            selectedpoints=list(selected) or None,
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 0.15}},
        )
    )
    if few:
        _name_colours(figure, group_names)
    theme.style(figure, 620)
    label = projection.method.upper()
    figure.update_xaxes(title=f"{label} 1", showticklabels=False, showgrid=False, zeroline=False)
    figure.update_yaxes(title=f"{label} 2", showticklabels=False, showgrid=False, zeroline=False, scaleanchor="x")
    return figure.update_layout(
        dragmode="lasso",
        margin={"l": 40, "r": 10, "t": 10, "b": 40},
        legend={"orientation": "h", "y": -0.08, "x": 0, "itemclick": False, "itemdoubleclick": False},
        uirevision="keep",
    )


def _name_colours(figure: go.Figure, group_names: Sequence[str]) -> None:
    """The legend, as traces without points: those of the map itself are one trace."""
    for index, name in enumerate(group_names):
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=theme.plain(name),
            marker={"color": theme.category_colour(index), "size": 9}, hoverinfo="skip",
        )  # fmt: skip


def moved(found: Moved, groups: np.ndarray, group_names: Sequence[str], ids: Sequence[str], after: str) -> go.Figure:
    """N points before and after a change in two panels with the same axes, coloured by group.

    groups: (N,) indices into group_names. ids: (N,) what the pointer tells. after: the title of the second panel.
    """
    figure = make_subplots(
        1, 2, shared_xaxes="all", shared_yaxes="all", horizontal_spacing=0.03,
        subplot_titles=("intact", theme.plain(after)),
    )  # fmt: skip
    colours = [theme.category_colour(int(group)) for group in groups]
    texts = [
        f"{theme.plain(name)}<br>{theme.plain(group_names[group])}" for name, group in zip(ids, groups, strict=True)
    ]
    for column, points in enumerate((found.before, found.after), start=1):
        figure.add_scatter(
            x=points[:, 0], y=points[:, 1], mode="markers", showlegend=False, text=texts,
            marker={"color": colours, "size": 6, "opacity": 0.8}, hovertemplate="%{text}<extra></extra>",
            row=1, col=column,
        )  # fmt: skip
    if len(group_names) <= TOO_MANY:
        _name_colours(figure, group_names)
    theme.style(figure, 420)
    figure.layout.margin.t = 40
    figure.update_xaxes(title="first direction", showticklabels=False, gridcolor=theme.GRID, zerolinecolor=theme.GRID)
    figure.update_yaxes(showticklabels=False, gridcolor=theme.GRID, zerolinecolor=theme.GRID)
    figure.update_yaxes(title="second direction", row=1, col=1)
    return figure
