"""Draws how strongly images excite a channel."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from features.channels.results import QUANTILES
from viz import theme

if TYPE_CHECKING:
    from features.channels import Channels


def histogram(counts: np.ndarray, edges: np.ndarray, quantiles: dict[str, float]) -> go.Figure:
    """How many images have a maximum in each interval. edges: (B + 1,). quantiles: value by name, as lines."""
    figure = go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2, y=counts, width=np.diff(edges) * 0.94, marker_color=theme.BLUE,
            customdata=np.stack([edges[:-1], edges[1:]], axis=1), showlegend=False,
            hovertemplate="%{customdata[0]:.3g} to %{customdata[1]:.3g}: %{y:,} images<extra></extra>",
        )
    )  # fmt: skip
    names: dict[float, list[str]] = {}
    for name, value in quantiles.items():
        names.setdefault(value, []).append(name)  # of equal ones, as of a channel that is mostly silent, one line
    for value, equal in names.items():
        figure.add_vline(
            x=value, line={"color": theme.ORANGE, "width": 1.5, "dash": "dot"},
            annotation={"text": equal[0] if len(equal) == 1 else f"{equal[0]} to {equal[-1]}", "font": {"size": 11},
                        "textangle": -60, "yanchor": "bottom", "xanchor": "left"},
        )  # fmt: skip
    theme.style(figure, 340)
    figure.layout.margin.t = 52
    figure.update_xaxes(title="maximum over the positions of an image")
    figure.update_yaxes(title="images", rangemode="tozero")
    return figure


def histogram_of(told: "Channels", channel: tuple[str, int]) -> go.Figure:
    """The same of what was measured, with quantiles. channel: its layer and its number there."""
    layer, number = told.layer(channel[0]), channel[1]
    values = layer.quantiles()[:, number].tolist()
    return histogram(
        *layer.histogram(number), {f"{share:.0%}": value for share, value in zip(QUANTILES, values, strict=True)}
    )
