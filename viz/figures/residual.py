"""Draws what every residual branch adds, block by block."""

import numpy as np
import plotly.graph_objects as go

from features.residual import BlockStatistics
from viz import theme

LOG_TICKS = [digit * 10.0**power for power in range(-4, 4) for digit in (1, 2, 5)]


def ratio(statistics: BlockStatistics) -> go.Figure:
    """|F| / |x| along depth: median over images, with the range that holds 90 % of them. The axis is
    logarithmic.
    """
    figure = _spread(statistics, statistics.ratios)
    figure.add_hline(
        y=1, line={"color": theme.GREY, "dash": "dot"}, annotation_text="as large as the shortcut",
        annotation_y=0,  # on a logarithmic axis Plotly wants a text's place as a logarithm, a line's as it is
    )  # fmt: skip
    figure.update_yaxes(title="|F| / |x|", type="log", tickvals=LOG_TICKS, ticktext=[f"{tick:g}" for tick in LOG_TICKS])
    return _finish(figure, statistics)


def cosine(statistics: BlockStatistics) -> go.Figure:
    """The cosine between branch and shortcut along depth: median and 90 % range over images."""
    figure = _spread(statistics, statistics.cosines)
    figure.add_hline(y=0, line={"color": theme.GREY, "dash": "dot"})
    figure.update_yaxes(title="cos(F, x)", range=[-1.02, 1.02])
    return _finish(figure, statistics)


def negative(statistics: BlockStatistics) -> go.Figure:
    """The share of the sum's values that the block's ReLU sets to zero."""
    figure = go.Figure(
        go.Bar(
            x=list(statistics.blocks),
            y=statistics.negative,
            marker_color=_colours(statistics),
            hovertemplate="%{x}: %{y:.1%} below zero<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_yaxes(title="share below zero", tickformat=".0%", range=[0, 1])
    return _finish(figure, statistics)


def dead(statistics: BlockStatistics) -> go.Figure:
    """The share of a block's output channels that are zero everywhere on every image."""
    share = statistics.dead / statistics.channels
    figure = go.Figure(
        go.Bar(
            x=list(statistics.blocks),
            y=share,
            marker_color=_colours(statistics),
            customdata=np.stack([statistics.dead, statistics.channels], axis=1),
            hovertemplate="%{x}: %{customdata[0]} of %{customdata[1]} channels<extra></extra>",
            showlegend=False,
        )
    )
    if not statistics.dead.any():
        figure.add_annotation(
            x=0.5, y=0.5, xref="paper", yref="paper", text="no dead channel in any block", showarrow=False,
            bgcolor=theme.GREY, font={"color": "white"}, borderpad=4,
        )  # fmt: skip
    top = max(0.05, 1.15 * float(share.max(initial=0)))
    figure.update_yaxes(title="dead channels", tickformat=".0%", range=[0, min(1.0, top)])
    return _finish(figure, statistics)


def _spread(statistics: BlockStatistics, values: np.ndarray) -> go.Figure:
    """Median line, 5-95 % whiskers and a marker per block; values: (N, B), columns of NaN are left out."""
    figure = go.Figure()
    known = ~np.isnan(values).all(0)  # (B,)
    if not known.any():
        return figure
    low, middle, high = np.nanpercentile(values[:, known], (5, 50, 95), axis=0)
    names = [name for name, is_known in zip(statistics.blocks, known, strict=True) if is_known]
    figure.add_scatter(
        x=names, y=middle, mode="lines", line={"color": theme.GREY, "width": 1}, showlegend=False, hoverinfo="skip"
    )
    kinds = [kind for kind, is_known in zip(statistics.shortcuts, known, strict=True) if is_known]
    for number, kind in enumerate(dict.fromkeys(kinds)):
        chosen = [index for index, other in enumerate(kinds) if other == kind]
        figure.add_scatter(
            x=[names[index] for index in chosen],
            y=middle[chosen],
            error_y={
                "type": "data", "symmetric": False, "array": (high - middle)[chosen],
                "arrayminus": (middle - low)[chosen], "thickness": 1.2, "width": 3,
            },
            mode="markers",
            name=f"{kind} shortcut",
            marker={"color": theme.SHORTCUT_COLOURS[kind], "size": 9, "symbol": theme.SYMBOLS[number]},
            customdata=np.stack([low[chosen], high[chosen]], axis=1),
            hovertemplate="%{x}: median %{y:.3f}, 90 % of images within %{customdata[0]:.3f} to "
            "%{customdata[1]:.3f}<extra></extra>",
        )  # fmt: skip
    return figure


def _colours(statistics: BlockStatistics) -> list[str]:
    return [theme.SHORTCUT_COLOURS[kind] for kind in statistics.shortcuts]


def _finish(figure: go.Figure, statistics: BlockStatistics) -> go.Figure:
    """The common depth axis, with a line and a name at every stage's start."""
    theme.style(figure, 400)
    layout = figure.layout
    layout.margin.t, layout.margin.b, layout.legend.y = 30, 110, -0.42
    layout.xaxis.update(
        categoryorder="array", categoryarray=list(statistics.blocks), title="block", tickangle=-60, showgrid=False,
        range=[-0.6, len(statistics.blocks) - 0.4],
    )  # fmt: skip
    starts = {stage: statistics.stages.index(stage) for stage in statistics.stages}
    layout.shapes += tuple(
        {"type": "line", "x0": start - 0.5, "x1": start - 0.5, "yref": "y domain", "y0": 0, "y1": 1,
         "line": {"color": theme.GREY, "width": 1}}
        for start in starts.values() if start
    )  # fmt: skip
    layout.annotations += tuple(
        {"x": start - 0.4, "y": 1, "yref": "paper", "yanchor": "bottom", "xanchor": "left", "text": stage,
         "showarrow": False}
        for stage, start in starts.items()
    )  # fmt: skip
    return figure
