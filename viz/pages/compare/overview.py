"""All networks at one glance: a row each, and accuracy over cost."""

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from features.compare import Comparison
from viz import theme, widgets
from viz.cached.compare import extras_made, report
from viz.cached.made import drawn
from viz.figures import compare as figures
from viz.pages.compare.shown import Shown
from viz.reports.compare import words

OVER = "over"  # in links


def show(shown: Shown) -> None:
    """The table of networks beside the picture of cost, and what they are compared on."""
    told = shown.told
    st.dataframe(_styled(told), hide_index=True)
    left, right = st.columns([3, 4], gap="medium")
    with left:
        st.caption(widgets.escape(words.networks(told)))
    with right:
        over = st.segmented_control(
            "Accuracy over", tuple(figures.COSTS), default="GFLOPs", key=OVER, bind="query-params", required=True,
            wrap=True,
        )  # fmt: skip
        widgets.chart(drawn(figures.cost, told.contenders, over or "GFLOPs"), "cost")
        st.caption(words.COST)
        widgets.downloads(words.table(told), "networks")


def _styled(told: Comparison) -> Styler:
    """The table, the best of each column in bold, grey what chance may have kept apart from the most accurate."""
    table = pd.DataFrame(words.rows(told))
    tones = words.tones(told)

    def styles(_table: pd.DataFrame) -> pd.DataFrame:
        looks = {words.BEST: f"font-weight: bold; color: {theme.GREEN}", words.QUIET: f"color: {theme.GREY}", "": ""}
        return pd.DataFrame([{name: looks[row.get(name, "")] for name in table} for row in tones])

    return table.style.apply(styles, axis=None)


def take_away(shown: Shown) -> None:
    """The table of all images with what each network says of them, and all of the page as one file."""
    st.divider()
    st.markdown("**The whole comparison**: every image with what each network says of it, or all of this page.")
    widgets.downloads(shown.told.table(), "comparison")
    extras = extras_made(shown.told, shown.models)
    widgets.report_download("comparison", lambda: report(shown.told, shown.models, shown.images, extras))
