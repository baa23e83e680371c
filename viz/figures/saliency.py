"""Draws what a network says of one image, and what its blocks contribute."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from features import rasters
from features.networks.card import Outputs
from viz import theme

if TYPE_CHECKING:
    from features.saliency import SaliencyMaps

SIDE, OPACITY = 224, 0.55  # pixels of pictures that are smaller, and of maps over them


def top_classes(
    probabilities: np.ndarray, names: Sequence[str], explained: int, order: Sequence[int], outputs: Outputs
) -> go.Figure:
    """Classes as bars, the explained one in another colour.

    probabilities: (K,). order: the classes that are shown, from top to bottom. outputs: what the logits say.
    """
    shown = [theme.plain(names[index]) for index in order]
    places = list(range(len(order)))  # not the names: ImageNet has two classes called maillot
    figure = go.Figure(
        go.Bar(
            x=probabilities[list(order)],
            y=places,
            hovertext=shown,
            orientation="h",
            marker_color=[theme.ORANGE if index == explained else theme.BLUE for index in order],
            text=[f"{probabilities[index]:.1%}" for index in order],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{hovertext}: %{x:.2%}<extra></extra>",
        )
    )
    theme.style(figure, 60 + 34 * len(order))
    figure.update_xaxes(range=[0, 1.3], tickformat=".0%", title=f"probability ({outputs.function})", fixedrange=True)
    figure.update_yaxes(autorange="reversed", automargin=True, tickvals=places, ticktext=shown, fixedrange=True)
    return figure.update_layout(margin={"l": 10, "r": 10, "t": 5, "b": 45})


def overlays(seen: np.ndarray, maps: "SaliencyMaps") -> go.Figure:
    """What a network sees, (H, W, 3) uint8, and the maps of its first image laid over it, tap by tap."""
    picture = rasters.magnify(seen, SIDE)  # (H, W, 3)
    size = picture.shape[1], picture.shape[0]
    titles = ["input", *(tap.name for tap in maps.maps)]
    figure = make_subplots(1, len(titles), subplot_titles=titles, horizontal_spacing=0.01)
    heats = [rasters.heat_map(values[0], size) for values in maps.maps.values()]
    shown = [picture, *(rasters.overlay(picture, heat, OPACITY) for heat in heats)]
    for column, pixels in enumerate(shown, start=1):
        figure.add_image(source=rasters.data_uri(rasters.png(pixels)), row=1, col=column, hoverinfo="skip")
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure.update_layout(height=SIDE + 80, margin={"l": 0, "r": 0, "t": 30, "b": 0})


def ledger(
    terms: Sequence[str], values: np.ndarray, bias: float, logit: float, name: str, total: str = "logit"
) -> go.Figure:
    """A waterfall from 0 over the shortcut, every branch and the bias to the logit, or what else `total` says.

    values: (T,).
    """
    labels = [*(term if term == "shortcut" else f"branch {term}" for term in terms), "bias", total]
    steps = [*values.tolist(), bias]
    figure = go.Figure(
        go.Waterfall(
            x=list(range(len(labels))),
            y=[*steps, logit],
            measure=["relative"] * len(steps) + ["total"],
            text=[f"{value:+.3g}" for value in steps] + [f"{logit:.3g}"],
            textposition="outside",
            cliponaxis=False,
            increasing_marker_color=theme.ORANGE,
            decreasing_marker_color=theme.BLUE,
            totals_marker_color=theme.GREY,
            connector_line_color=theme.GRID,
            hovertext=labels,
            hovertemplate="%{hovertext}: %{text}<extra></extra>",
        )
    )
    theme.style(figure, 340)
    figure.update_xaxes(tickvals=list(range(len(labels))), ticktext=labels, fixedrange=True)
    figure.update_yaxes(title=f"{total} of {theme.plain(name)}", fixedrange=True)
    return figure


def shares(blocks: Sequence[str], branch: np.ndarray, shortcut: np.ndarray) -> go.Figure:
    """Each block's branch beside its shortcut, as shares of the two. branch, shortcut: (B,) sums of absolute maps."""
    total = branch + shortcut
    share = np.divide(branch, total, out=np.zeros_like(branch), where=total > 0)
    figure = go.Figure(
        go.Bar(
            x=list(range(len(blocks))),
            y=share,
            hovertext=list(blocks),
            marker_color=theme.ORANGE,
            hovertemplate="%{hovertext}: %{y:.1%} from the branch<extra></extra>",
        )
    )
    theme.style(figure, 260)
    figure.update_xaxes(tickvals=list(range(len(blocks))), ticktext=list(blocks), title="block", fixedrange=True)
    figure.update_yaxes(range=[0, 1], tickformat=".0%", title="branch's share of the map", fixedrange=True)
    return figure
