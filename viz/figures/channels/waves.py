"""Draws which waves the first filters answer to."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from viz import theme

if TYPE_CHECKING:
    from features.channels import Filters


def waves(filters: "Filters", chosen: int) -> go.Figure:
    """Every filter's frequency, as the distance from the centre, and orientation, as the angle; size: its norm.

    Filters whose planes differ more than they agree are orange. chosen: the one with a ring.
    """
    strongest = filters.waves
    angles = np.nan_to_num(strongest.orientation)  # of frequency 0 in the centre, where all angles are one place
    top = max(float(filters.norms.max()), 1e-30)
    sizes = 6 + 14 * filters.norms / top
    colours = np.where(filters.colour > 0.5, theme.ORANGE, theme.BLUE)
    told = np.stack([np.arange(len(angles)), strongest.share, filters.colour], 1)
    figure = go.Figure()
    for name, colour in (("grey", theme.BLUE), ("colour", theme.ORANGE)):
        mine = colours == colour
        if mine.any():
            figure.add_scatterpolar(
                r=strongest.frequency[mine], theta=angles[mine], mode="markers", name=name, customdata=told[mine],
                showlegend=not mine.all(),
                marker={"color": colour, "size": sizes[mine], "opacity": 0.75},
                hovertemplate="filter %{customdata[0]:.0f}: %{r:.3f} cycles per pixel, %{theta:.0f}°<br>wave: "
                "%{customdata[1]:.0%} of its weights' squares, colour: %{customdata[2]:.0%}<extra></extra>",
            )  # fmt: skip
    figure.add_scatterpolar(
        r=[strongest.frequency[chosen]], theta=[angles[chosen]], mode="markers", showlegend=False, hoverinfo="skip",
        marker={"symbol": "circle-open", "size": sizes[chosen] + 8, "color": theme.RED, "line": {"width": 2}},
    )  # fmt: skip
    theme.style(figure, 340)
    axis = {"gridcolor": theme.GRID, "linecolor": theme.GRID}
    figure.layout.polar = {
        "sector": [0, 180], "bgcolor": "rgba(0,0,0,0)",
        "radialaxis": {**axis, "range": [0, 0.72], "tickvals": [0.25, 0.5], "angle": 0, "tickangle": 0},
        "angularaxis": {**axis, "tickvals": [0, 45, 90, 135, 180], "ticktext": ["0°", "45°", "90°", "135°", "180°"]},
    }  # fmt: skip
    figure.layout.margin = {"l": 40, "r": 40, "t": 30, "b": 10}
    figure.layout.legend.y = 0
    return figure
