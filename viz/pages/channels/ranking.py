"""All channels of a layer, in the order of any measure; a click opens one."""

import streamlit as st

from features.channels import Channels
from viz import widgets
from viz.cached.made import made
from viz.pages.channels.place import choose_layer, go
from viz.picking.shown import Shown

TABLE = "channels of a layer"


def show(shown: Shown, told: Channels) -> None:
    """The table of a layer, sortable by any column."""
    layer = choose_layer(shown)
    table = made(Channels.layer_table, told, layer)

    def chosen() -> None:
        rows = st.session_state[TABLE].selection.rows
        if rows:
            go(layer, int(table["channel"].iloc[rows[0]]))

    st.dataframe(
        table.drop(columns=["layer", "n_images"]), hide_index=True, key=TABLE, on_select=chosen,
        selection_mode="single-row",
        column_config={"silent": st.column_config.NumberColumn(format="percent")},
    )  # fmt: skip
    widgets.downloads(table, f"channels-{layer}-{shown.model.spec.name}")
