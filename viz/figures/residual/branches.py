"""Draws how large every branch is beside its shortcut, and in which direction it points."""

from itertools import compress

import numpy as np
import plotly.graph_objects as go

from features.residual import BlockStatistics
from viz import theme
from viz.figures.residual.axes import along_depth, logarithmic, whiskers


def ratio(statistics: BlockStatistics) -> go.Figure:
    """|F| / |x| along depth: median over images, with the range that holds 90 % of them. The axis is
    logarithmic.
    """
    figure = _spread(statistics, statistics.ratios)
    figure.add_hline(
        y=1, line={"color": theme.GREY, "dash": "dot"}, annotation_text="as large as the shortcut",
        annotation_y=0,  # on a logarithmic axis Plotly wants a text's place as a logarithm, a line's as it is
    )  # fmt: skip
    logarithmic(figure, "|F| / |x|")
    return along_depth(figure, statistics.blocks, statistics.stages)


def cosine(statistics: BlockStatistics) -> go.Figure:
    """The cosine between branch and shortcut along depth: median and 90 % range over images."""
    figure = _spread(statistics, statistics.cosines)
    figure.add_hline(y=0, line={"color": theme.GREY, "dash": "dot"})
    figure.update_yaxes(title="cos(F, x)", range=[-1.02, 1.02])
    return along_depth(figure, statistics.blocks, statistics.stages)


def _spread(statistics: BlockStatistics, values: np.ndarray) -> go.Figure:
    """Median line, 5-95 % whiskers and a marker per block; values: (N, B), columns of NaN are left out."""
    figure = go.Figure()
    known = ~np.isnan(values).all(0)  # (B,)
    if not known.any():
        return figure
    low, middle, high = np.nanpercentile(values[:, known], (5, 50, 95), axis=0)
    names = list(compress(statistics.blocks, known))
    figure.add_scatter(
        x=names, y=middle, mode="lines", line={"color": theme.GREY, "width": 1}, showlegend=False, hoverinfo="skip"
    )
    kinds = list(compress(statistics.shortcuts, known))
    for number, kind in enumerate(dict.fromkeys(kinds)):
        chosen = [index for index, other in enumerate(kinds) if other == kind]
        figure.add_scatter(
            x=[names[index] for index in chosen],
            y=middle[chosen],
            error_y=whiskers(low[chosen], middle[chosen], high[chosen]),
            mode="markers",
            name=f"{kind} shortcut",
            marker={"color": theme.SHORTCUT_COLOURS[kind], "size": 9, "symbol": theme.SYMBOLS[number]},
            customdata=np.stack([low[chosen], high[chosen]], axis=1),
            hovertemplate="%{x}: median %{y:.3f}, 90 % of images within %{customdata[0]:.3f} to "
            "%{customdata[1]:.3f}<extra></extra>",
        )  # fmt: skip
    return figure
