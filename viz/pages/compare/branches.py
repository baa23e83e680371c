"""What every network's branches add to their shortcuts along depth, and what is lost without each block."""

import pandas as pd
import streamlit as st

from features.compare import AlongDepth
from viz import widgets
from viz.cached.compare import extra_work
from viz.cached.made import drawn
from viz.figures import compare as figures
from viz.pages.compare.shown import Shown
from viz.reports.compare import words


def show(shown: Shown) -> None:
    """All networks along relative depth, each network's curve as it comes, one after the other."""
    told: list[AlongDepth] = []
    for number, each in enumerate(shown.told.contenders):
        work = extra_work("branches", shown.told, shown.models, (number,))
        curve = widgets.arriving(work, f"Blocks of {widgets.escape(each.name)} ({number + 1} of {len(shown.models)})")
        if curve is None:
            break  # one at a time: what is cancelled has no others behind it
        told.append(curve)
    if not told:
        return
    widgets.chart(drawn(figures.along_depth, tuple(told)), "branches along depth")
    st.caption(widgets.escape(words.branches(told)))
    widgets.downloads(pd.concat([each.table() for each in told]), "branches")
