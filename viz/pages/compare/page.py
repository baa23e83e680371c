"""Two or more networks on the sidebar's images: who does better, at what cost, and of which images."""

from collections.abc import Callable

import streamlit as st

from features.compare import Pair, need_number
from features.networks import catalogue
from viz import sidebar, widgets
from viz.cached.compare import comparison_work
from viz.pages.compare import agreement, branches, maps, overview, quality, saliency, similarity, slices, stitching
from viz.pages.compare.shown import Shown, choose_pair
from viz.picking import networks
from viz.reports.compare import words

FIRST = ("resnet20-fashion", "plain20-fashion")
KEY, VIEW = "compared", "compare view"  # in links
OF_PAIRS: dict[str, Callable[[Shown, Pair], None]] = {
    "agreement": agreement.show,
    "slices": slices.show,
    "similarity": similarity.show,
    "stitching": stitching.show,
    "maps": maps.show,
    "saliency": saliency.show,
}
OF_ALL: dict[str, Callable[[Shown], None]] = {"quality": quality.show, "branches": branches.show}
VIEWS = ("agreement", "slices", "quality", "similarity", "stitching", "branches", "maps", "saliency")


def render() -> None:
    """Networks beside each other, then views of all of them or of two, down to single images."""
    st.title(words.TITLE)
    with widgets.show_errors():
        images, whole = sidebar.images(), sidebar.images(selected=False)
        names = _choose()
        need_number(len(names))
        models = [sidebar.typed(name) for name in names]
        told = widgets.awaited(comparison_work(models, images), f"Comparing on {len(images):,} images")
        shown = Shown(models, images, whole, told)
        widgets.rejected(told.rejected)
        overview.show(shown)
        view = st.segmented_control(
            "Look at", VIEWS, default=VIEWS[0], key=VIEW, bind="query-params", required=True, wrap=True
        )
        with widgets.show_errors():  # of a view alone
            if view in OF_ALL:
                OF_ALL[view](shown)
            else:
                OF_PAIRS[view or VIEWS[0]](shown, choose_pair(told))
        overview.take_away(shown)
        widgets.camera()


def _choose() -> list[str]:
    """The networks' names, as `naming.parse` reads them."""
    if KEY not in st.session_state and KEY not in st.query_params:
        st.session_state[KEY] = [*FIRST]  # as a default it would be another control from the second run on
    asked = st.session_state.get(KEY) or []
    return st.multiselect(
        "Networks", list(dict.fromkeys([*catalogue.names(), *asked])), key=KEY, bind="query-params",
        accept_new_options=True, max_selections=10, help=networks.HELP,
    )  # fmt: skip
