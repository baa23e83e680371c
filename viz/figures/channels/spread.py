"""Draws how a number of the channels of several layers is spread."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go


def spread(
    figure: go.Figure, places: Sequence[str | float], quantiles: np.ndarray, colour: str, said: Sequence[str], row: int
) -> None:
    """Thin whiskers for 90 % of the channels, thick ones for half of them, a dot for the median.

    places: (L,) along x. quantiles: (L, 5), 5 to 95 %. said: (L,) what the pointer tells. row: of the figure's panels.
    """
    least, low, middle, high, most = quantiles.T
    for bottom, top, width in ((least, most, 1.2), (low, high, 5)):
        figure.add_scatter(
            x=places, y=middle, mode="markers", marker={"size": 1, "color": colour}, hoverinfo="skip", showlegend=False,
            error_y={"type": "data", "symmetric": False, "array": top - middle, "arrayminus": middle - bottom,
                     "thickness": width, "width": 0, "color": colour},
            row=row, col=1,
        )  # fmt: skip
    figure.add_scatter(
        x=places, y=middle, mode="markers", showlegend=False, hovertext=said,
        marker={"color": colour, "size": 9, "line": {"color": "white", "width": 1}},
        hovertemplate="%{hovertext}<extra></extra>", row=row, col=1,
    )  # fmt: skip
