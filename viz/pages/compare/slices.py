"""Groups of images in which one of two networks is better."""

import streamlit as st

from features.compare import Pair
from viz import widgets
from viz.cached.made import drawn
from viz.figures import compare as figures
from viz.pages.compare.shown import Shown
from viz.reports.compare import words

SLICES = 20
SLICE = "slice"  # in links


def show(shown: Shown, pair: Pair) -> None:
    """The surest slices as a picture, all as a table, and a button that selects one's images."""
    if not pair.slices:
        st.caption(words.NO_SLICES)
        return
    widgets.chart(drawn(figures.slices, pair.slices[:SLICES]), "slices")
    st.caption(widgets.escape(words.slices(pair, SLICES)))
    names = [f"{each.slice.by}: {each.slice.name}" for each in pair.slices]
    if st.session_state.get(SLICE) not in (None, *names):
        del st.session_state[SLICE]  # of networks or images before these
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Images of a slice", names, key=SLICE, bind="query-params", width=420)
        rows = pair.slices[names.index(chosen)].slice.rows
        shown.offer_selection([shown.told.ids[row] for row in rows], "select slice")
    table = shown.told.slice_table()
    mine = table[(table["network"] == pair.first) & (table["beside"] == pair.second)]
    widgets.downloads(mine, "slices")
