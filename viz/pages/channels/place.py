"""Which layer and which of its channels the page is about; both are in its link."""

import streamlit as st

from viz.cached.channels import layers_of
from viz.picking.shown import Shown

VIEW, LAYER, CHANNEL = "channels view", "layer", "channel"  # in links
ONE = "one channel"  # the view that is of one


def choose_layer(shown: Shown) -> str:
    """A layer, along depth: 'stem' or a block."""
    names = layers_of(shown.model)
    if st.session_state.get(LAYER) not in (None, *names):
        del st.session_state[LAYER]  # of the network before this one
    return st.select_slider("Layer", names, value=names[-1], key=LAYER, bind="query-params")


def choose_channel(n_channels: int) -> int:
    """One of a layer's channels, by its number."""
    if st.session_state.get(CHANNEL, 0) >= n_channels:
        st.session_state[CHANNEL] = 0  # a layer below has fewer
    return int(
        st.number_input(
            f"Channel, 0 to {n_channels - 1:,}", 0, n_channels - 1, step=1, key=CHANNEL, bind="query-params"
        )
    )


def go(layer: str, channel: int) -> None:
    """Open one channel, in a callback: before the page runs again."""
    st.session_state.update({VIEW: ONE, LAYER: layer, CHANNEL: int(channel)})
