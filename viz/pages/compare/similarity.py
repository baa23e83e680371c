"""How alike two networks' representations are, block by block and stage by stage."""

import pandas as pd
import streamlit as st

from features.compare import Measured, Pair
from features.compare.measures import rows_of
from features.similarity import MEASURES
from viz import widgets
from viz.cached.compare import extra_work
from viz.cached.made import drawn
from viz.figures import compare as figures
from viz.pages.compare.shown import Shown
from viz.reports.compare import words

MEASURE, DEPTH = "measure", "relative depth"  # in links


def show(shown: Shown, pair: Pair) -> None:
    """CKA of all blocks beside any measure of the stages."""
    relative = st.toggle(
        "Relative depth", key=DEPTH, bind="query-params", help="Both axes from 0 to 1, for networks of other lengths."
    )
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Block by block**")
        alike = pair.similarity
        widgets.chart(drawn(figures.similarity, alike, pair.first, pair.second, relative), "similarity")
        st.caption(widgets.escape(words.SIMILARITY + words.images_of(alike)))
        widgets.downloads(pd.DataFrame(rows_of(alike, "block")), "similarity-of-blocks")
    with right:
        st.markdown("**Stage by stage**")
        _measures(shown, pair, relative)


def _measures(shown: Shown, pair: Pair, relative: bool) -> None:
    name = st.selectbox(
        "Measure", tuple(MEASURES), key=MEASURE, bind="query-params", format_func=lambda name: MEASURES[name].title
    )
    measure = MEASURES[name]
    work = extra_work("measures", shown.told, shown.models, shown.numbers(pair))
    measured: Measured | None = widgets.arriving(work, "Comparing stages")
    if measured is None:
        return
    table = next(each for each in measured.tables if each.measure == name)
    widgets.chart(
        drawn(figures.similarity, table, pair.first, pair.second, relative, measure.farthest), "measure of stages"
    )
    st.caption(widgets.escape(words.measure(measure) + words.images_of(table)))
    widgets.downloads(measured.table(), "similarity-of-stages")
