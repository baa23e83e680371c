"""What is chosen once for all pages, at the side: the network and the images."""

import streamlit as st

from viz.cached import warm_up
from viz.sidebar import image_set, network
from viz.sidebar.image_set import images, others, source
from viz.sidebar.network import as_fields, model, named, spec
from viz.sidebar.own_files import new_folder
from viz.sidebar.selected import choose, give_name, selection
from viz.sidebar.selected import named as named_selections

__all__ = [
    "as_fields",
    "choose",
    "give_name",
    "images",
    "model",
    "named",
    "named_selections",
    "new_folder",
    "others",
    "selection",
    "show",
    "source",
    "spec",
]


def show() -> None:
    """Choose the network and the image set, once for all pages; both live in the URL."""
    with st.sidebar:
        network.choose()
        image_set.choose()
        _device()


def _device() -> None:
    device = warm_up.started().device
    if device:
        st.caption(f"Runs on {device}.")
    else:
        _await_device()


@st.fragment(run_every=1)
def _await_device() -> None:
    if warm_up.started().device:
        st.rerun()
