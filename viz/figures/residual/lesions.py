"""Draws what lesions do to a network."""

from collections.abc import Mapping, Sequence
from itertools import compress

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from features import residual
from features.residual import BlockStatistics, Sweep
from viz import theme
from viz.figures.residual.axes import along_depth, gridded


def without(statistics: BlockStatistics, sweep: Sweep) -> go.Figure:
    """Accuracy without each block as bars, above |F| / |x| of the block (medians over images) where there is any.

    sweep: every block left out in turn. Without labels the bars are the share of images whose prediction stays.
    """
    values, intact, name = _measure(sweep)
    known = ~np.isnan(statistics.ratios).all(0)
    panels = 2 if known.any() else 1
    figure = make_subplots(panels, 1, shared_xaxes=True, row_heights=[0.6, 0.4][:panels], vertical_spacing=0.06)
    for kind in dict.fromkeys(statistics.shortcuts):
        chosen = np.array([other == kind for other in statistics.shortcuts])
        figure.add_bar(
            x=list(compress(statistics.blocks, chosen)),
            y=values[chosen],
            name=f"{kind} shortcut" if kind != "none" else "no shortcut",
            marker_color=theme.SHORTCUT_COLOURS[kind],
            customdata=np.stack([sweep.agreement[chosen], sweep.cosine[chosen]], axis=1),
            hovertemplate="without %{x}: " + name + " %{y:.1%}, same prediction %{customdata[0]:.1%}, "
            "cosine of features %{customdata[1]:.3f}<extra></extra>",
            row=1,
            col=1,
        )
    figure.add_hline(
        y=intact, line={"color": theme.GREY, "dash": "dot"}, annotation_text=f"intact {intact:.1%}", row=1, col=1
    )
    if panels == 2:
        names = list(compress(statistics.blocks, known))
        figure.add_scatter(
            x=names, y=np.nanmedian(statistics.ratios[:, known], axis=0), mode="lines+markers", showlegend=False,
            line={"color": theme.GREY, "width": 1}, marker={"color": theme.BLUE, "size": 8},
            hovertemplate="%{x}: |F| / |x| %{y:.3f}<extra></extra>", row=2, col=1,
        )  # fmt: skip
        figure.update_yaxes(title="|F| / |x|", rangemode="tozero", row=2, col=1)
        figure.update_xaxes(categoryorder="array", categoryarray=list(statistics.blocks), showgrid=False, row=1, col=1)
    figure.update_yaxes(title=f"{name} without", tickformat=".0%", range=[0, 1.05], row=1, col=1)
    along_depth(figure, statistics.blocks, statistics.stages, 160 + 200 * panels, "xaxis2" if panels == 2 else "xaxis")
    return gridded(figure)


def of_kind(kind: str, sweep: Sweep, statistics: BlockStatistics) -> go.Figure:
    """All lesions of a kind: in the figure that suits it, else one bar a lesion."""
    own = {
        residual.WITHOUT: lambda: without(statistics, sweep),
        residual.SCALED: lambda: scaled(sweep, statistics),
        residual.RANDOM: lambda: random(sweep),
        residual.SWAPPED: lambda: swapped(sweep),
    }
    return own[kind]() if kind in own else bars(sweep, [lesion.name for lesion in sweep.lesions], "lesions")


def twins(sweeps: Mapping[str, Sweep]) -> go.Figure:
    """Accuracy with one block left out, along relative depth, of several networks; dotted lines are the intact ones.

    If one of them has no accuracy, all are shown by how often their predictions stay.
    """
    figure = go.Figure()
    told = "accuracy" if all(sweep.judged for sweep in sweeps.values()) else "same prediction"
    for number, (name, sweep) in enumerate(sweeps.items()):
        values, intact = (sweep.accuracy, sweep.intact_accuracy) if told == "accuracy" else (sweep.agreement, 1.0)
        colour = theme.category_colour(number)
        figure.add_scatter(
            x=np.linspace(0, 1, len(values)), y=values, name=theme.plain(name), mode="lines+markers",
            line={"color": colour}, marker={"symbol": theme.SYMBOLS[number % len(theme.SYMBOLS)], "size": 8},
            text=[lesion.name for lesion in sweep.lesions], hovertemplate="%{text}: %{y:.1%}<extra></extra>",
        )  # fmt: skip
        figure.add_hline(y=intact, line={"color": colour, "dash": "dot", "width": 1})
    theme.style(figure, 400)
    figure.update_xaxes(title="relative depth of the block left out", range=[-0.03, 1.03])
    figure.update_yaxes(title=f"{told} without it", tickformat=".0%", range=[0, 1.05])
    return figure


def random(sweep: Sweep) -> go.Figure:
    """Accuracy with k blocks left out at random: means over seeds, with their standard deviation."""
    values, intact, name = _measure(sweep)
    numbers = np.array([lesion.n_blocks for lesion in sweep.lesions])
    counts = np.unique(numbers)
    means = np.array([values[numbers == count].mean() for count in counts])
    spreads = np.array(
        [values[numbers == count].std(ddof=1) if (numbers == count).sum() > 1 else 0 for count in counts]
    )
    figure = go.Figure()
    figure.add_scatter(
        x=numbers, y=values, mode="markers", name="one draw", marker={"color": theme.SKY, "size": 6, "opacity": 0.6},
        text=[", ".join(block for block, _ in lesion.factors) for lesion in sweep.lesions],
        hovertemplate="without %{text}: %{y:.1%}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=counts, y=means, mode="lines+markers", name="mean and standard deviation over seeds",
        line={"color": theme.BLUE}, marker={"size": 9},
        error_y={"type": "data", "array": np.minimum(spreads, 1 - means), "arrayminus": np.minimum(spreads, means),
                 "symmetric": False, "width": 4},
        hovertemplate="%{x} blocks: %{y:.1%}<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=intact, line={"color": theme.GREY, "dash": "dot"}, annotation_text=f"intact {intact:.1%}")
    theme.style(figure, 400)
    figure.update_xaxes(title="blocks left out", type="log", tickvals=counts, ticktext=[str(count) for count in counts])
    figure.update_yaxes(title=name, tickformat=".0%", range=[0, 1.05])
    return figure


def scaled(sweep: Sweep, statistics: BlockStatistics) -> go.Figure:
    """Accuracy with each block's branch multiplied by each factor, as a heat map."""
    values, intact, name = _measure(sweep)
    factors = sorted({lesion.factors[0][1] for lesion in sweep.lesions} | {1.0})
    grid = np.full((len(factors), len(statistics.blocks)), np.nan)
    if 1.0 in factors:
        grid[factors.index(1.0)] = intact
    for lesion, value in zip(sweep.lesions, values, strict=True):
        block, factor = lesion.factors[0]
        grid[factors.index(factor), statistics.blocks.index(block)] = value
    figure = go.Figure(
        go.Heatmap(
            x=list(statistics.blocks), y=[f"{factor:g}" for factor in factors], z=grid, zmin=0, zmax=1,
            colorscale="Cividis", colorbar={"title": name, "tickformat": ".0%", "thickness": 12},
            hovertemplate="%{x} times %{y}: %{z:.1%}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(title="the branch times", type="category")
    return along_depth(figure, statistics.blocks, statistics.stages)


def swapped(sweep: Sweep) -> go.Figure:
    """Accuracy with two neighbours in each other's place, as bars."""
    return bars(sweep, [" ↔ ".join(lesion.swaps[0]) for lesion in sweep.lesions], "blocks swapped")


def bars(sweep: Sweep, labels: Sequence[str], title: str) -> go.Figure:
    """Accuracy with each lesion, one bar each. title: of the axis along which the labels stand."""
    values, intact, name = _measure(sweep)
    figure = go.Figure(
        go.Bar(x=list(labels), y=values, marker_color=theme.BLUE, hovertemplate="%{x}: %{y:.1%}<extra></extra>")
    )
    figure.add_hline(y=intact, line={"color": theme.GREY, "dash": "dot"}, annotation_text=f"intact {intact:.1%}")
    theme.style(figure, 400)
    figure.update_xaxes(title=title, tickangle=-60, automargin=True, showgrid=False)
    figure.update_yaxes(title=name, tickformat=".0%", range=[max(0.0, float(values.min()) - 0.1), 1.05])
    return figure


def _measure(sweep: Sweep) -> tuple[np.ndarray, float, str]:
    """What tells how well a network does: its accuracy, or without labels how often its prediction stays."""
    if sweep.judged:
        return sweep.accuracy, sweep.intact_accuracy, "accuracy"
    return sweep.agreement, 1.0, "same prediction"
