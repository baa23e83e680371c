"""Draws at which blocks two classes differ."""

from itertools import compress

import numpy as np
import plotly.graph_objects as go

from features.residual import LEVEL, Contrast
from viz import theme
from viz.figures.residual.axes import along_depth, whiskers


def effects(contrast: Contrast) -> go.Figure:
    """The difference of two classes at every block, in standard deviations; filled where it is sure."""
    figure = go.Figure()
    sure = contrast.q < LEVEL
    for chosen, name, symbol in ((sure, f"q < {LEVEL}", "circle"), (~sure, "may be chance", "circle-open")):
        figure.add_scatter(
            x=list(compress(contrast.blocks, chosen)),
            y=contrast.effect[chosen], mode="markers", name=name,
            marker={"color": theme.BLUE, "size": 10, "symbol": symbol, "line": {"width": 1.6, "color": theme.BLUE}},
            error_y=whiskers(contrast.low[chosen], contrast.effect[chosen], contrast.high[chosen]),
            customdata=np.stack([contrast.means[0][chosen], contrast.means[1][chosen], contrast.q[chosen]], axis=1),
            hovertemplate="%{x}: g = %{y:.2f}, %{customdata[0]:.3g} and %{customdata[1]:.3g}, q = %{customdata[2]:.2g}"
            "<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": theme.GREY, "dash": "dot"})
    figure.update_yaxes(title=f"{theme.plain(contrast.classes[0])} minus {theme.plain(contrast.classes[1])}, Hedges' g")
    return along_depth(figure, contrast.blocks, contrast.stages)
