"""The page that shows where a network looks."""

import streamlit as st

from features.predictions import softmax
from features.saliency import ClassTarget
from viz import sidebar, widgets
from viz.cached.made import drawn
from viz.choosing import choose_image, show_image
from viz.figures import saliency as figures
from viz.pages.faithfulness import measured
from viz.pages.saliency.gallery import gallery
from viz.pages.saliency.overlays import Shown, draw
from viz.pages.saliency.views import STAGES, VIEWS
from viz.picking.target import Explained, choose_target, class_names, logits_of

GALLERY = "gallery"


def render() -> None:
    """Maps of one image: stages, methods, classes and networks beside each other, branches, the ledger, all blocks."""
    st.title("Where the network looks")
    with widgets.show_errors():
        model = sidebar.model()
        left, middle, right = st.columns([1.1, 0.7, 1.2], gap="medium")
        with left:
            chosen = choose_image()
        with middle:
            show_image(chosen)
        with right:
            explained = choose_target(model, chosen)
            likeliest = st.container()
        name = _choose_view(with_classes=model.network.classifier is not None)
        shown = None
        try:
            if name != GALLERY:
                shown = VIEWS[name].show(explained)
        finally:  # not before: the maps bring the probabilities; but also while a view waits or says what is wrong
            with likeliest:
                _probabilities(explained, shown)
        if shown is None:
            gallery(model)
            return
        draw(explained, name, VIEWS[name].title(shown), shown)
        if VIEWS[name].measured and isinstance(explained.target, ClassTarget):
            measured(explained, [maps for _, maps in shown.maps])


def _choose_view(with_classes: bool) -> str:
    names = [name for name, view in VIEWS.items() if with_classes or not view.of_classes]
    names += [GALLERY] if with_classes else []
    if st.session_state.get("view", STAGES) not in names:
        st.session_state["view"] = STAGES
    return st.segmented_control("Side by side", names, default=STAGES, key="view", bind="query-params", required=True)


def _probabilities(explained: Explained, shown: Shown | None) -> None:
    """The likeliest classes as bars, from the forward pass that made the maps, or one of their own without them."""
    model, target = explained.model, explained.target
    if model.network.classifier is None:
        return
    maps = [] if shown is None else [each for network, each in shown.maps if network is model]
    logits = next((each.logits[0] for each in maps if each.logits is not None), None)
    logits = logits_of(model, explained.chosen) if logits is None else logits  # (K,)
    index = -1
    if isinstance(target, ClassTarget):
        index = int(logits.argmax()) if target.index is None else target.index
    widgets.chart(drawn(figures.top_classes, softmax(logits[None])[0], class_names(model), index), "top")
