"""Two networks' maps of the images on each other, and the images whose neighbours changed most."""

import numpy as np
import streamlit as st

from features.compare import Movers, Pair
from viz import widgets
from viz.cached.compare import extra_work
from viz.cached.made import drawn
from viz.figures import compare as figures
from viz.pages.compare.shown import Shown
from viz.picking.tiles import tiles
from viz.reports.compare import words

SHOWN = 12


def show(shown: Shown, pair: Pair) -> None:
    """Both maps, whose points are selected in either, and those that moved most."""
    work = extra_work("maps", shown.told, shown.models, shown.numbers(pair))
    told: Movers = widgets.awaited(work, "Laying both networks' features out")
    label = dict(zip(shown.told.ids, shown.told.labels, strict=True))
    labels = tuple(label[image] for image in told.ids)
    event = widgets.chart(
        drawn(figures.moved, told, labels), "aligned maps", on_select="rerun", selection_mode=("lasso", "box")
    )
    points = event.selection.points if event is not None else []
    chosen = sorted({int(_number(point["customdata"])) for point in points if point.get("customdata") is not None})
    st.caption(widgets.escape(words.maps(told)))
    if chosen:
        shown.offer_selection([told.ids[number] for number in chosen], "select on maps")
    order = [number for number in told.order.tolist() if not chosen or number in {*chosen}][:SHOWN]
    st.markdown("**Neighbours changed most**" + (" among those chosen" if chosen else ""))
    texts = [f"{labels[number]}: {told.changed[number]:.0%}" for number in order]
    tiles(shown.images, shown.rows_of([told.ids[number] for number in order]), texts, "movers")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        widgets.chart(drawn(figures.changed, told), "neighbours changed")
    with right:
        shown.offer_selection([told.ids[number] for number in told.order[: max(1, len(told) // 10)]], "select movers")
        st.caption("That tenth of the images whose neighbours changed most.")
        widgets.downloads(told.table(), "maps")


def _number(data: object) -> float:
    return float(np.ravel(np.asarray(data))[0])
