"""Whether networks are right as often as they are sure, and how they do class by class."""

import pandas as pd
import streamlit as st

from viz import widgets
from viz.cached.made import drawn
from viz.figures import compare as figures
from viz.pages.compare.shown import Shown
from viz.reports.compare import words


def show(shown: Shown) -> None:
    """Reliability of all networks beside temperatures and scores; below, the classes in which they differ most."""
    contenders = shown.told.contenders
    left, right = st.columns([5, 3], gap="medium")
    with left:
        st.markdown("**Reliability**")
        widgets.chart(drawn(figures.reliability, contenders), "reliability of all")
        st.caption(words.RELIABILITY)
        widgets.downloads(words.groups(shown.told), "reliability")
    with right:
        st.markdown("**Calibration**")
        st.dataframe(pd.DataFrame(words.calibration(shown.told)), hide_index=True)
        st.caption(words.TEMPERATURE)
        st.markdown("**Scores**")
        st.dataframe(words.scores(shown.told).style.format(precision=3), hide_index=True)
        st.caption(words.SCORES)
    st.markdown("**Class by class**")
    widgets.chart(drawn(figures.classes, contenders), "classes")
    st.caption(words.CLASSES)
    widgets.downloads(shown.told.class_table(), "classes")
