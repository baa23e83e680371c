"""Selecting images by what is known of them: a label, a range of confidence, a column of their list."""

import numpy as np
import streamlit as st

from features import embed
from viz.cached.made import made
from viz.pages.embed import colouring
from viz.pages.embed.shown import Shown

EDGES = 0.01  # of a range, so that its ends are inside


def show(shown: Shown, maps: embed.StageMaps) -> np.ndarray | None:
    """The points (R,) that pass the filter that is chosen; None while nothing is."""
    ways = colouring.ways(shown.images, shown.features.predictions is not None, shown.columns)
    way = st.selectbox("Filter by", ways, index=None, key="filter", placeholder="what is known of each image")
    if way is None:
        return None
    if way == colouring.LABEL and shown.images.label_sets is not None:
        name = st.selectbox("Label", shown.images.class_names, key="filter label")
        way = f"{colouring.ONE}{name}"
    stage = [*maps][-1]
    if way in colouring.BY_STAGE:
        stage = st.segmented_control("At", tuple(maps), default=stage, key="filter stage", required=True)
    colours = made(colouring.of, shown, maps, way)
    values = colours.of_stage.get(stage, colours.colours.values)
    if colours.colours.names:
        chosen = st.multiselect("Any of", colours.colours.names, key=f"filter names {way}")
        return np.flatnonzero(np.isin(values, [colours.colours.names.index(name) for name in chosen]))
    low, high = float(colours.colours.low), float(colours.colours.high)
    if not high > low:
        st.caption("All images have the same value.")
        return None
    step = (high - low) / 100
    start, stop = st.slider("Between", low, high, (low, high), step, key=f"filter range {way}")
    with np.errstate(invalid="ignore"):
        return np.flatnonzero((values >= start - EDGES * step) & (values <= stop + EDGES * step))


def popover(shown: Shown, maps: embed.StageMaps, before: np.ndarray | None) -> np.ndarray | None:
    """A filter, and what can be made of it: the points to select now, or None. before: those selected, or None."""
    with st.popover("Filter", icon=":material/filter_alt:"):
        hits = show(shown, maps)
        if hits is None:
            return None
        st.caption(f"{len(hits):,} of {len(shown):,} images")
        results = {"Select": hits}
        if before is not None:
            results |= {"Add": np.union1d(before, hits), "Narrow": np.intersect1d(before, hits)}
        with st.container(horizontal=True):
            for word, points in results.items():
                if st.button(f"{word} ({len(points):,})", key=f"filter {word}"):
                    return points
    return None
