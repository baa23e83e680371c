"""What sets the selected images apart from the rest: channels, blocks, confidence, and where the network looks."""

import numpy as np
import streamlit as st

from features import embed, rasters
from viz import sidebar, widgets
from viz.cached.links import heat_link, picture_link
from viz.cached.made import drawn, made
from viz.cached.residual import statistics_work
from viz.cached.saliency import gallery_maps
from viz.components import Overlay
from viz.figures import embed as figures
from viz.pages.embed.shown import Shown
from viz.picking.overlays import SMALL_SIDE, lay_over

MOST, AVERAGED = 12, 25
REST = "all other images"


def show(shown: Shown, maps: embed.StageMaps, points: np.ndarray) -> None:
    """The selection beside all other images or another selection; two images at least are needed on both sides."""
    inside = np.zeros(len(shown), bool)
    inside[points] = True
    rows, others = _beside(shown, inside)
    if min(inside.sum(), len(rows) - inside.sum()) < 2:
        st.caption("Two images on both sides are needed to compare them.")
        return
    _confidence(shown, inside, rows, others)
    stage = st.segmented_control("Channels of", tuple(maps), default=[*maps][-1], key="apart stage", required=True)
    channels = made(embed.distinguishing, shown.features.stages[stage][rows], inside[rows])
    names = tuple(f"channel {number}" for number in range(len(channels.effects)))
    widgets.chart(drawn(figures.effects, channels, names, MOST), "effects of channels")
    st.caption(
        f"The {MOST} channels of {stage}, pooled over space, that differ most: Cohen's d, the difference of the means "
        "in pooled standard deviations. Faint bars are what chance might give (Welch's t test, false discovery rate "
        f"5 %, Benjamini & Hochberg 1995, over {len(names):,} channels)."
    )
    if shown.model is None:
        return
    _saliency(shown, points)
    if st.toggle("Blocks that differ", key="apart blocks"):
        _blocks(shown, inside, rows)


def _beside(shown: Shown, inside: np.ndarray) -> tuple[np.ndarray, str]:
    """The points that are compared, the selected ones among them, and what the others are called."""
    named = sidebar.named_selections(shown.images)
    chosen = st.selectbox("Beside", (REST, *named), key="apart from") if named else REST
    if chosen == REST or chosen not in named:
        return np.arange(len(shown)), REST
    others = named[chosen].mask[shown.points] & ~inside
    return np.flatnonzero(inside | others), chosen


def _confidence(shown: Shown, inside: np.ndarray, rows: np.ndarray, others: str) -> None:
    said = shown.features.predictions
    if said is not None:
        there = said.confidence[rows][~inside[rows]].mean()
        st.markdown(f"Mean confidence {said.confidence[inside].mean():.1%}, of {widgets.escape(others)} {there:.1%}.")


def _saliency(shown: Shown, points: np.ndarray) -> None:
    """The mean of the last stage's maps over some of the images, on the mean of these."""
    if shown.features.predictions is None or shown.model is None:
        return
    few = points[np.linspace(0, len(points) - 1, min(AVERAGED, len(points))).astype(int)]
    rows = tuple(int(row) for row in shown.points[few])
    maps, seen = gallery_maps(shown.model.key, shown.images.digest, rows, shown.model, shown.images)
    (values,) = maps.maps.values()
    base = picture_link(seen.mean(axis=0).astype(np.uint8), SMALL_SIDE, small=True)
    heat = rasters.scaled(np.maximum(values, 0).mean(axis=0))
    st.markdown(f"**Mean map of the last stage** for the predicted classes, over {len(rows)} of the images")
    lay_over([Overlay("", "", base.file, heat_link(heat, base, small=True), "Mean map")], "mean map", columns=2)


def _blocks(shown: Shown, inside: np.ndarray, points: np.ndarray) -> None:
    """|F|/|x| of each block, of the selection beside the rest."""
    assert shown.model is not None  # as `show` asks
    work = statistics_work(shown.model, shown.images)
    statistics = widgets.arriving(work, f"Branches of {len(shown.images):,} images")
    if statistics is None:
        return
    rows = {name: row for row, name in enumerate(statistics.ids)}
    known = np.array([point for point in points if shown.features.ids[point] in rows], np.int64)
    ratios = statistics.ratios[[rows[shown.features.ids[point]] for point in known]]  # (R, B)
    blocks = made(embed.distinguishing, ratios, inside[known])
    widgets.chart(drawn(figures.effects, blocks, statistics.blocks, MOST), "effects of blocks")
    st.caption("The blocks whose |F|/|x| differs most between the selection and the rest, as above.")
