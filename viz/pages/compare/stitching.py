"""What is left of a network's accuracy when another's stage stands in for its own."""

import streamlit as st

from features.compare import Pair
from features.compare import Stitching as Stitched
from viz import widgets
from viz.cached.compare import extra_work
from viz.cached.made import drawn
from viz.figures import compare as figures
from viz.pages.compare.shown import Shown
from viz.reports.compare import words


def show(shown: Shown, pair: Pair) -> None:
    """Accuracy of both directions at every stage, and what could not be stitched."""
    work = extra_work("stitching", shown.told, shown.models, shown.numbers(pair))
    told: Stitched = widgets.awaited(work, "Stitching the two networks")
    widgets.rejected(told.rejected)
    widgets.chart(drawn(figures.stitching, told), "stitching")
    st.caption(widgets.escape(words.stitching(told)))
    for note in words.stitching_notes(told):
        st.caption(widgets.told(note))
    widgets.downloads(told.table(), "stitching")
