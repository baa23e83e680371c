"""How far two networks look at the same part of the images."""

import numpy as np
import streamlit as st

from features.compare import Looks, Pair
from viz import widgets
from viz.cached.compare import extra_work
from viz.cached.made import drawn
from viz.figures import compare as figures
from viz.pages.compare.agreement import MAPPED, mapped_images
from viz.pages.compare.shown import Shown
from viz.reports.compare import words


def show(shown: Shown, pair: Pair) -> None:
    """How alike the maps are, overall and by class, then images of one class and two places."""
    work = extra_work("saliency", shown.told, shown.models, shown.numbers(pair))
    told: Looks = widgets.awaited(work, "Comparing where the networks look")
    widgets.rejected(told.rejected)
    st.markdown(widgets.escape(words.looks(told)))
    left, right = st.columns(2, gap="medium")
    with left:
        widgets.chart(drawn(figures.alike, told), "where they look")
    with right:
        widgets.chart(drawn(figures.alike_by_class, told), "where they look by class")
    st.caption(widgets.escape(words.LOOKS))
    differing = [told.ids[row] for row in told.differing]
    st.markdown("**Of one mind, of two places**")
    if not differing:
        st.caption("They say the same class of no image.")
        return
    half = differing[: max(1, int(np.ceil(len(differing) / 10)))]
    shown.offer_selection(half, "select differing")
    mapped_images(shown, pair, differing[:MAPPED], len(differing))
    widgets.downloads(told.table(), "saliency")
