"""What the channels of every layer have in common; a click on a layer's best channel opens it."""

import streamlit as st

from features.channels import AlongDepth, Channels
from viz import widgets
from viz.cached.channels import depth_work
from viz.cached.made import drawn, made
from viz.figures import channels as figures
from viz.pages.channels.place import few_images, go
from viz.picking.shown import Shown

CHART, TABLE = "channels along depth", "layers"


def show(shown: Shown, told: Channels) -> None:
    """Silence and selectivity of every layer's channels."""
    overview: AlongDepth = widgets.awaited(depth_work(shown.model, shown.images, told), "Summing up the layers")

    def open_best(row: int) -> None:
        go(overview.layers[row], max(0, int(overview.best[row])))

    def clicked() -> None:
        points = st.session_state[CHART].selection.points
        if points:
            open_best(overview.layers.index(points[0]["x"]))

    def ticked() -> None:
        rows = st.session_state[TABLE].selection.rows
        if rows:
            open_best(rows[0])

    widgets.chart(drawn(figures.along_depth, overview), CHART, on_select=clicked, selection_mode="points")
    best = (
        " Below, the AUROC of each channel for the class that it tells apart best; the diamond is the layer's best "
        f"channel, which a click opens. {few_images(told)}"
        if overview.is_labelled
        else " The images have no labels, so nothing says which classes channels tell apart."
    )
    st.caption(
        "The share of images on which a channel is silent, without a position above 0. Dots are medians over the "
        f"channels of a layer, thick bars hold half of them, thin ones 90 %.{best}"
    )
    table = made(AlongDepth.table, overview)
    shares = [name for name in table if name.startswith(("silent", "auroc"))]
    st.dataframe(
        table.drop(columns=shares), hide_index=True, key=TABLE, on_select=ticked, selection_mode="single-row",
        column_config={"best_auroc": st.column_config.NumberColumn(format="%.3f")},
    )  # fmt: skip
    widgets.downloads(table, f"channels-along-depth-{shown.model.spec.name}")
