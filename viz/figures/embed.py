"""Draws what is known of maps: what moved on a plane, and selections, classes and images along depth."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from features.embed.principal import Moved
from features.residual.statistics import BlockStatistics
from viz import theme

if TYPE_CHECKING:
    from features.embed.distinguishing import Distinguished
    from features.embed.projection import Projection
    from features.embed.scores import Separation
    from features.store import FeatureSet

TOO_MANY = 12
MOST_ROWS = 12  # classes in a chart of a selection


def _name_colours(figure: go.Figure, group_names: Sequence[str]) -> None:
    """The legend, as traces without points: those of the map itself are one trace."""
    for index, name in enumerate(group_names):
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=theme.plain(name),
            marker={"color": theme.category_colour(index), "size": 9}, hoverinfo="skip",
        )  # fmt: skip


def moved(change: Moved, groups: np.ndarray, group_names: Sequence[str], ids: Sequence[str], after: str) -> go.Figure:
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
    for column, points in enumerate((change.before, change.after), start=1):
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


def stage_maps(features: "FeatureSet", maps: "Mapping[str, Projection]") -> go.Figure:
    """The maps of every stage side by side, coloured by label. features: of the same images, in the same order."""
    names = features.label_names()
    texts = np.array(["image"] * len(features), object) if names is None else names.astype(str)
    ids = np.array([theme.plain(name) for name in features.ids], object)
    groups = sorted(set(texts.tolist()))
    shown = groups if len(groups) <= len(theme.CATEGORIES) else []  # of more, colours tell none
    figure = make_subplots(1, len(maps), subplot_titles=[*maps], horizontal_spacing=0.02)
    for column, projection in enumerate(maps.values(), start=1):
        for number, group in enumerate(shown or [""]):
            here = texts == group if shown else np.ones(len(texts), bool)
            figure.add_scatter(
                x=projection.points[here, 0], y=projection.points[here, 1], mode="markers", name=theme.plain(group),
                marker={"size": 4, "color": theme.CATEGORIES[number]}, legendgroup=group, hoverinfo="text+name",
                showlegend=bool(shown) and column == 1, text=ids[here], row=1, col=column,
            )  # fmt: skip
        figure.update_yaxes(scaleanchor=f"x{column}", row=1, col=column)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    legend = {"orientation": "h", "y": 0, "yanchor": "top", "itemsizing": "constant"}
    return figure.update_layout(height=420, margin={"l": 10, "r": 10, "t": 30, "b": 10}, legend=legend)


def cohesion(shares: Mapping[str, float], by_chance: float) -> go.Figure:
    """The share of a selection's neighbours that are of it too, stage by stage, and what chance would give."""
    figure = go.Figure(
        go.Scatter(
            x=[theme.plain(stage) for stage in shares], y=list(shares.values()), mode="lines+markers",
            marker={"color": theme.BLUE, "size": 8},
            hovertemplate="%{x}: %{y:.0%}<extra></extra>", showlegend=False,
        )
    )  # fmt: skip
    figure.add_hline(by_chance, line={"dash": "dot", "color": theme.GREY})
    theme.style(figure, 190)
    figure.layout.yaxis.update(range=[0, 1.05], tickformat=".0%", title="neighbours within")
    return figure


def mix(names: np.ndarray, points: np.ndarray) -> go.Figure:
    """The share of each name in a selection beside that in all images, the largest differences first.

    names: (N,) as objects, None for images without one. points: (R,) those selected.
    """
    known = np.array([str(name) for name in names if name is not None], dtype=str)
    here = np.array([str(name) for name in names[points] if name is not None], dtype=str)
    words, counts = np.unique(known, return_counts=True)
    share = counts / max(1, len(known))
    inside = np.bincount(np.searchsorted(words, here), minlength=len(words)) / max(1, len(here))
    order = np.argsort(-np.abs(inside - share), kind="stable")[:MOST_ROWS][::-1]
    titles = [theme.plain(words[index]) for index in order]
    figure = go.Figure()
    for title, values, colour in (("all images", share, theme.GREY), ("selection", inside, theme.BLUE)):
        figure.add_bar(
            x=values[order], y=titles, name=title, orientation="h", marker={"color": colour},
            hovertemplate="%{y}: %{x:.1%} of " + title + "<extra></extra>",
        )  # fmt: skip
    theme.style(figure, 90 + 26 * len(order))
    figure.layout.xaxis.update(tickformat=".0%", rangemode="tozero")
    figure.layout.legend.update(y=1.02, yanchor="bottom", traceorder="reversed")
    figure.layout.margin.update(l=10, t=30, b=30)
    figure.layout.yaxis.automargin = True
    return figure


def separation(of_stages: "Mapping[str, Separation]") -> go.Figure:
    """Accuracy by neighbours and by a linear probe with 95 % intervals, and the mean silhouette, stage by stage."""
    stages = [theme.plain(stage) for stage in of_stages]
    figure = go.Figure()
    for title, shares, colour in (
        ("nearest neighbours", [each.by_neighbours for each in of_stages.values()], theme.BLUE),
        ("linear probe", [each.by_line for each in of_stages.values()], theme.ORANGE),
    ):
        known = [(stage, share) for stage, share in zip(stages, shares, strict=True) if share is not None]
        values = [share.value for _, share in known]
        figure.add_scatter(
            x=[stage for stage, _ in known], y=values, name=title, mode="lines+markers",
            marker={"color": colour, "size": 8},
            error_y={
                "type": "data", "symmetric": False,
                "array": [share.interval[1] - share.value for _, share in known],
                "arrayminus": [share.value - share.interval[0] for _, share in known],
            },
            hovertemplate="%{x}: %{y:.1%}<extra>" + title + "</extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=stages, y=[_mean(each.silhouette) for each in of_stages.values()], name="silhouette", mode="lines+markers",
        marker={"color": theme.GREY, "symbol": "diamond", "size": 7}, line={"dash": "dot"},
        hovertemplate="%{x}: %{y:.2f}<extra>silhouette</extra>",
    )  # fmt: skip
    theme.style(figure, 300)
    figure.layout.yaxis.update(title="accuracy, silhouette", rangemode="tozero")
    return figure


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def effects(apart: "Distinguished", names: Sequence[str], most: int) -> go.Figure:
    """The strongest effects, the largest on top; those that chance might give as well are faint. names: (D,)."""
    chosen = apart.strongest(most)[::-1]
    sure = apart.p_values[chosen] < 0.05
    figure = go.Figure(
        go.Bar(
            x=apart.effects[chosen], y=[theme.plain(names[number]) for number in chosen], orientation="h",
            marker={"color": [theme.BLUE if each else theme.faint(theme.BLUE) for each in sure]},
            customdata=np.stack([apart.inside[chosen], apart.outside[chosen], apart.p_values[chosen]], axis=1),
            hovertemplate="%{y}: d = %{x:.2f}<br>mean %{customdata[0]:.3g}, of the rest %{customdata[1]:.3g}"
            "<br>p = %{customdata[2]:.2g}<extra></extra>",
            showlegend=False,
        )
    )  # fmt: skip
    theme.style(figure, 70 + 22 * max(1, len(chosen)))
    figure.layout.xaxis.title = "Cohen's d"
    figure.layout.yaxis.automargin = True
    figure.layout.margin.l = 10
    return figure


def branches_of(statistics: BlockStatistics, image: int) -> go.Figure:
    """|F|/|x| of every block for one image, beside the middle 80 % of all images. image: its row in the statistics."""
    ratios = statistics.ratios  # (N, B)
    low, middle, high = np.nanpercentile(ratios, [10, 50, 90], axis=0)
    blocks = list(statistics.blocks)
    figure = go.Figure(
        [
            go.Scatter(x=blocks, y=high, mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip"),
            go.Scatter(
                x=blocks, y=low, mode="lines", line={"width": 0}, fill="tonexty", name="middle 80 %",
                fillcolor=theme.faint(theme.BLUE), hoverinfo="skip",
            ),
            go.Scatter(x=blocks, y=middle, mode="lines", line={"color": theme.BLUE}, name="half of all images"),
            go.Scatter(
                x=blocks, y=ratios[image], mode="lines+markers", marker={"color": theme.ORANGE}, name="this image"
            ),
        ]
    )  # fmt: skip
    theme.style(figure, 300)
    figure.layout.yaxis.update(title="|F| / |x|", rangemode="tozero")
    return figure
