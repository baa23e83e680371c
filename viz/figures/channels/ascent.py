"""Draws how an ascent made a channel answer more and more."""

import numpy as np
import plotly.graph_objects as go

from viz import theme


def ascent(curve: np.ndarray, reached: float, highest: float | None) -> go.Figure:
    """The goal at each step, (T,), and for the picture as it is in the end. highest: of all images, as a line."""
    figure = go.Figure(
        go.Scatter(
            x=np.arange(len(curve)), y=curve, mode="lines", name="as it is shaken", line={"color": theme.BLUE},
            hovertemplate="step %{x}: %{y:.3g}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_scatter(
        x=[len(curve)], y=[reached], mode="markers", name="unshaken, in the end",
        marker={"color": theme.BLUE, "size": 10, "symbol": "diamond"},
        hovertemplate="the picture: %{y:.3g}<extra></extra>",
    )  # fmt: skip
    if highest is not None:
        figure.add_hline(
            y=highest, line={"color": theme.ORANGE, "width": 1.5, "dash": "dot"},
            annotation={"text": f"the most of all images, {highest:.3g}", "font": {"size": 11}, "xanchor": "right"},
        )  # fmt: skip
    theme.style(figure, 300)
    figure.update_xaxes(title="step", fixedrange=True)
    figure.update_yaxes(title="what is raised", rangemode="tozero", fixedrange=True)
    return figure
