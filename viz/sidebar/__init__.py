"""What is chosen once for all pages, at the side: the network and the images."""

import streamlit as st

from viz.cached import warm_up
from viz.sidebar import image_set, network
from viz.sidebar.image_set import images, source
from viz.sidebar.network import model, named, spec
from viz.sidebar.own_files import new_folder

__all__ = ["images", "model", "named", "new_folder", "show", "source", "spec"]


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
