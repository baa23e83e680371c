"""How far two networks look at the same part of the images."""

import streamlit as st

from features.compare import Looked, Pair
from viz import widgets
from viz.cached.compare import extra_work
from viz.cached.made import drawn
from viz.figures import compare as figures
from viz.pages.compare.agreement import side_by_side
from viz.pages.compare.shown import Shown
from viz.reports.compare import words


def show(shown: Shown, pair: Pair) -> None:
    """How alike the maps are, overall and by class, then images of one class and two places."""
    work = extra_work("saliency", shown.told, shown.models, shown.numbers(pair))
    looked: Looked = widgets.awaited(work, "Comparing where the networks look")
    told = looked.alike
    widgets.rejected(told.rejected)
    st.markdown(widgets.escape(words.looks(told)))
    left, right = st.columns(2, gap="medium")
    with left:
        widgets.chart(drawn(figures.alike, told), "where they look")
    with right:
        widgets.chart(drawn(figures.alike_by_class, told), "where they look by class")
    st.caption(widgets.escape(words.LOOKS))
    widgets.downloads(told.table(), "saliency")
    differing = [told.ids[row] for row in told.differing]
    st.markdown("**Of one mind, of two places**")
    if not differing:
        st.caption("They say the same class of no image.")
        return
    shown.offer_selection(differing[: -(-len(differing) // 10)], "select differing")
    st.caption("That tenth of the images of which both say the same class whose maps are least alike.")
    side_by_side(pair, looked.differing, len(differing))
