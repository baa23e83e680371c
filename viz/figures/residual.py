"""Draws what every residual branch adds, block by block."""

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

import numpy as np
import plotly.graph_objects as go

from features.residual import BRANCH, KEPT, LEVEL, OUTPUT, SHORTCUT, SUM, BlockStatistics, Contrast, blocks
from viz import theme

RANKS = 128
COLUMNS = {
    "ratio_median": "|F| / |x|, median",
    "cosine_median": "cos(F, x), median",
    "branch_share": "branch's share of the variance",
    "sparsity": "zeros in the output",
    "cka": "CKA of input and output",
    "class_mean_accuracy": "accuracy of the nearest class mean",
    "effective_rank": "effective rank",
    "kurtosis": "kurtosis of channel sizes",
}  # of `residual.blocks`, for comparisons: what each is called on an axis
LOG_TICKS = [digit * 10.0**power for power in range(-4, 4) for digit in (1, 1.5, 2, 3, 5, 7)]


def ratio(statistics: BlockStatistics) -> go.Figure:
    """|F| / |x| along depth: median over images, with the range that holds 90 % of them. The axis is
    logarithmic.
    """
    figure = _spread(statistics, statistics.ratios)
    figure.add_hline(
        y=1, line={"color": theme.GREY, "dash": "dot"}, annotation_text="as large as the shortcut",
        annotation_y=0,  # on a logarithmic axis Plotly wants a text's place as a logarithm, a line's as it is
    )  # fmt: skip
    _logarithmic(figure, "|F| / |x|")
    return along_depth(figure, statistics.blocks, statistics.stages)


def cosine(statistics: BlockStatistics) -> go.Figure:
    """The cosine between branch and shortcut along depth: median and 90 % range over images."""
    figure = _spread(statistics, statistics.cosines)
    figure.add_hline(y=0, line={"color": theme.GREY, "dash": "dot"})
    figure.update_yaxes(title="cos(F, x)", range=[-1.02, 1.02])
    return along_depth(figure, statistics.blocks, statistics.stages)


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
    return along_depth(figure, statistics.blocks, statistics.stages)


def dead(statistics: BlockStatistics) -> go.Figure:
    """The share of a block's output channels that are zero everywhere on every image."""
    share = statistics.dead / statistics.widths
    figure = go.Figure(
        go.Bar(
            x=list(statistics.blocks),
            y=share,
            marker_color=_colours(statistics),
            customdata=np.stack([statistics.dead, statistics.widths], axis=1),
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
    return along_depth(figure, statistics.blocks, statistics.stages)


def budget(statistics: BlockStatistics) -> go.Figure:
    """What the variance of each block's sum is made of: x's, F's and twice their covariance, as shares of it."""
    found = statistics.channels
    whole = np.array([channels.variance(SUM) for channels in found])  # (B,)
    parts = {
        "shortcut": (theme.BLUE, [channels.variance(SHORTCUT) for channels in found]),
        "branch": (theme.ORANGE, [channels.variance(BRANCH) for channels in found]),
        "both together (2 × covariance)": (theme.GREY, [2 * channels.covariance for channels in found]),
    }
    figure = go.Figure()
    for name, (colour, values) in parts.items():
        shares = np.divide(values, whole, out=np.full(len(whole), np.nan), where=whole > 0)
        figure.add_bar(
            x=list(statistics.blocks), y=shares, name=name, marker_color=colour,
            hovertemplate="%{x}, " + name + ": %{y:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(barmode="relative")
    figure.add_hline(y=1, line={"color": theme.GREY, "dash": "dot"})
    figure.update_yaxes(title="share of the sum's variance", tickformat=".0%")
    return along_depth(figure, statistics.blocks, statistics.stages)


def propagation(statistics: BlockStatistics) -> go.Figure:
    """How signals grow along depth: the output's average channel variance and squared mean, the branch's variance."""
    found = statistics.channels
    lines = {
        "output: average channel variance": (theme.BLUE, "circle", [channels.variance(OUTPUT) for channels in found]),
        "output: average channel squared mean": (
            theme.GREEN,
            "square",
            [channels.squared_mean(OUTPUT) for channels in found],
        ),
        "branch: average channel variance": (
            theme.ORANGE,
            "diamond",
            [channels.variance(BRANCH) for channels in found],
        ),
    }
    figure = go.Figure()
    for name, (colour, symbol, values) in lines.items():
        figure.add_scatter(
            x=list(statistics.blocks), y=values, name=name, mode="lines+markers",
            line={"color": colour}, marker={"symbol": symbol, "size": 8},
            hovertemplate="%{x}: %{y:.3g}<extra>" + name + "</extra>",
        )  # fmt: skip
    _logarithmic(figure, "activation squared")
    return along_depth(figure, statistics.blocks, statistics.stages)


def channels(statistics: BlockStatistics) -> go.Figure:
    """Every block's channels as a column, those that are most often zero on top; colour is the share of zeros."""
    ranks = np.linspace(0, 1, RANKS)
    columns = [np.sort(found.sparsity) for found in statistics.channels]
    values = np.stack([np.interp(ranks, np.linspace(0, 1, len(column)), column) for column in columns], axis=1)
    figure = go.Figure(
        go.Heatmap(
            x=list(statistics.blocks),
            y=ranks,
            z=values,
            zmin=0,
            zmax=1,
            colorscale="Cividis_r",
            colorbar={"title": "zeros", "tickformat": ".0%", "thickness": 12},
            hovertemplate="%{x}: %{z:.1%} zeros at %{y:.0%} of the channels<extra></extra>",
        )
    )
    figure.update_yaxes(title="channels, sorted", tickformat=".0%", range=[0, 1])
    return along_depth(figure, statistics.blocks, statistics.stages)


def movement(statistics: BlockStatistics) -> go.Figure:
    """How alike a block's input and output are: linear CKA over images, and the cosine of each image."""
    figure = go.Figure()
    figure.add_scatter(
        x=list(statistics.blocks), y=statistics.cka, name="linear CKA", mode="lines+markers",
        line={"color": theme.BLUE}, marker={"size": 8}, hovertemplate="%{x}: CKA %{y:.3f}<extra></extra>",
    )  # fmt: skip
    kept = statistics.means[KEPT]
    known = ~np.isnan(kept)
    if known.any():
        figure.add_scatter(
            x=list(compress(statistics.blocks, known)), y=kept[known],
            name="cosine, where the shape stays", mode="markers",
            marker={"color": theme.ORANGE, "symbol": "diamond", "size": 9},
            hovertemplate="%{x}: cosine %{y:.3f}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(title="input and output alike", range=[0, 1.03])
    return along_depth(figure, statistics.blocks, statistics.stages)


def readout(statistics: BlockStatistics) -> go.Figure:
    """How well the classes can be read off each block: by the nearest class mean, and by the network's own head."""
    figure = go.Figure()
    figure.add_scatter(
        x=list(statistics.blocks), y=statistics.class_mean_accuracy, name="nearest class mean", mode="lines+markers",
        line={"color": theme.BLUE}, marker={"size": 8}, hovertemplate="%{x}: %{y:.1%}<extra></extra>",
    )  # fmt: skip
    known = ~np.isnan(statistics.head_accuracy)
    if known.any():
        names = list(compress(statistics.blocks, known))
        figure.add_scatter(
            x=names, y=statistics.head_accuracy[known], name="the network's own head", mode="lines+markers",
            line={"color": theme.ORANGE}, marker={"symbol": "diamond", "size": 9},
            hovertemplate="%{x}: %{y:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(title="accuracy", tickformat=".0%", range=[0, 1.03])
    return along_depth(figure, statistics.blocks, statistics.stages)


def rank(statistics: BlockStatistics) -> go.Figure:
    """In how many directions the pooled output varies, beside how many channels it has."""
    figure = go.Figure()
    figure.add_scatter(
        x=list(statistics.blocks), y=statistics.widths, name="channels", mode="lines",
        line={"color": theme.GREY, "shape": "hvh"}, hovertemplate="%{x}: %{y} channels<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=list(statistics.blocks), y=statistics.effective_rank, name="effective rank", mode="lines+markers",
        line={"color": theme.BLUE}, marker={"size": 8}, hovertemplate="%{x}: %{y:.1f}<extra></extra>",
    )  # fmt: skip
    _logarithmic(figure, "directions")
    return along_depth(figure, statistics.blocks, statistics.stages)


def gamma(statistics: BlockStatistics) -> go.Figure | None:
    """The absolute scales of each branch's last BatchNorm: median and the range of 90 % of the channels."""
    known = [place for place, found in enumerate(statistics.channels) if found.gamma is not None]
    if not known:
        return None
    sizes = [np.abs(found.gamma) for found in statistics.channels if found.gamma is not None]
    low, middle, high = np.array([np.percentile(values, (5, 50, 95)) for values in sizes]).T
    figure = go.Figure()
    figure.add_scatter(
        x=[statistics.blocks[place] for place in known], y=middle, mode="lines+markers", showlegend=False,
        line={"color": theme.GREY, "width": 1}, marker={"color": theme.BLUE, "size": 9},
        error_y=_whiskers(low, middle, high),
        hovertemplate="%{x}: median %{y:.3f}<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(title="|gamma| of the last BatchNorm", rangemode="tozero")
    return along_depth(figure, statistics.blocks, statistics.stages)


def contrast(found: Contrast) -> go.Figure:
    """The difference of two classes at every block, in standard deviations; filled where it is sure."""
    figure = go.Figure()
    sure = found.q < LEVEL
    for chosen, name, symbol in ((sure, f"q < {LEVEL}", "circle"), (~sure, "may be chance", "circle-open")):
        figure.add_scatter(
            x=list(compress(found.blocks, chosen)),
            y=found.effect[chosen], mode="markers", name=name,
            marker={"color": theme.BLUE, "size": 10, "symbol": symbol, "line": {"width": 1.6, "color": theme.BLUE}},
            error_y=_whiskers(found.low[chosen], found.effect[chosen], found.high[chosen]),
            customdata=np.stack([found.means[0][chosen], found.means[1][chosen], found.q[chosen]], axis=1),
            hovertemplate="%{x}: g = %{y:.2f}, %{customdata[0]:.3g} and %{customdata[1]:.3g}, q = %{customdata[2]:.2g}"
            "<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": theme.GREY, "dash": "dot"})
    figure.update_yaxes(title=f"{theme.plain(found.classes[0])} minus {theme.plain(found.classes[1])}, Hedges' g")
    return along_depth(figure, found.blocks, found.stages)


def compare(networks: Mapping[str, BlockStatistics], column: str) -> go.Figure:
    """A number of every block of several networks along relative depth, 0 for the first block and 1 for the last.

    column: a column of `residual.blocks`.
    """
    figure = go.Figure()
    for number, (name, statistics) in enumerate(networks.items()):
        table = blocks(statistics)
        figure.add_scatter(
            x=np.linspace(0, 1, len(table)), y=table[column], name=theme.plain(name), mode="lines+markers",
            line={"color": theme.category_colour(number)},
            marker={"symbol": theme.SYMBOLS[number % len(theme.SYMBOLS)], "size": 8},
            text=table["block"], hovertemplate="%{text}: %{y:.3g}<extra>" + theme.plain(name) + "</extra>",
        )  # fmt: skip
    theme.style(figure, 420)
    figure.update_xaxes(title="relative depth", range=[-0.03, 1.03])
    figure.update_yaxes(title=COLUMNS[column])
    return figure


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
            error_y=_whiskers(low[chosen], middle[chosen], high[chosen]),
            mode="markers",
            name=f"{kind} shortcut",
            marker={"color": theme.SHORTCUT_COLOURS[kind], "size": 9, "symbol": theme.SYMBOLS[number]},
            customdata=np.stack([low[chosen], high[chosen]], axis=1),
            hovertemplate="%{x}: median %{y:.3f}, 90 % of images within %{customdata[0]:.3f} to "
            "%{customdata[1]:.3f}<extra></extra>",
        )  # fmt: skip
    return figure


def _whiskers(low: np.ndarray, middle: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    """Error bars from low to high around a middle."""
    return {
        "type": "data", "symmetric": False, "array": high - middle, "arrayminus": middle - low, "thickness": 1.2,
        "width": 3,
    }  # fmt: skip


def _logarithmic(figure: go.Figure, title: str) -> None:
    figure.update_yaxes(title=title, type="log", tickvals=LOG_TICKS, ticktext=[f"{tick:g}" for tick in LOG_TICKS])


def _colours(statistics: BlockStatistics) -> list[str]:
    return [theme.SHORTCUT_COLOURS[kind] for kind in statistics.shortcuts]


def along_depth(
    figure: go.Figure, names: Sequence[str], stages: Sequence[str], height: int = 400, axis: str = "xaxis"
) -> go.Figure:
    """The common depth axis, with a line and a name at every stage's start."""
    theme.style(figure, height)
    layout = figure.layout
    layout.margin.t, layout.margin.b, layout.legend.y = 30, 110, -0.42 * 400 / height
    layout[axis].update(
        categoryorder="array", categoryarray=list(names), title="block", tickangle=-60, showgrid=False,
        range=[-0.6, len(names) - 0.4],
    )  # fmt: skip
    starts = {stage: stages.index(stage) for stage in stages}
    layout.shapes += tuple(
        {"type": "line", "xref": axis.replace("axis", ""), "x0": start - 0.5, "x1": start - 0.5, "yref": "paper",
         "y0": 0, "y1": 1, "line": {"color": theme.GREY, "width": 1}}
        for start in starts.values() if start
    )  # fmt: skip
    layout.annotations += tuple(
        {"xref": axis.replace("axis", ""), "x": start - 0.4, "y": 1, "yref": "paper", "yanchor": "bottom",
         "xanchor": "left", "text": stage, "showarrow": False}
        for stage, start in starts.items()
    )  # fmt: skip
    return figure
