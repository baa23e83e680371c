"""What is chosen once for all pages, at the side: the network and the images."""

from typing import TYPE_CHECKING

import streamlit as st

from features.networks import catalogue
from viz.cached import warm_up
from viz.sidebar import image_set, keeping, network, noting
from viz.sidebar.image_set import images, others, source
from viz.sidebar.network import lesion, loaded, model, named, spec, take_lesion, tell_assumed, typed
from viz.sidebar.noted import of_images as noted_images
from viz.sidebar.own_files import inside_roots, new_folder
from viz.sidebar.selected import choose, give_name, select, selection, selects_of_others, take_name
from viz.sidebar.selected import named as named_selections

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from features.datasets import ImageSet
    from features.datasets.labels import Matched

__all__ = [
    "choose",
    "give_name",
    "images",
    "inside_roots",
    "lesion",
    "loaded",
    "model",
    "named",
    "named_selections",
    "new_folder",
    "noted_images",
    "noting",
    "others",
    "select",
    "selection",
    "selects_of_others",
    "show",
    "source",
    "spec",
    "take_lesion",
    "take_name",
    "tell_assumed",
    "typed",
]


def show(page: str = "anatomy", title: str = "") -> "DeltaGenerator":
    """Choose the network and the image set, once for all pages; both live in the URL.

    page, title: of the page that is shown, for who keeps its view. Gives back where `tell_assumed` writes, above all,
    where nobody has to scroll for it.
    """
    with st.sidebar:
        notice = st.empty()
        network.choose()
        image_set.choose(_matched)
        if page != keeping.PAGE:
            keeping.offer(page, title)
        _device()
    return notice


def _matched(images: "ImageSet") -> "Matched":
    """How a set's labels are matched with the classes of the network. Raises FeatureError if there is no such network.

    One of the catalogue is neither fetched nor loaded for it.
    """
    from features.datasets import labels

    name = named()
    known = name.name is not None and name.weights is None
    return labels.matched(catalogue.spec(str(name.name)) if known else model().spec, images)


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
