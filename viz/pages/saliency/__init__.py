"""The page that shows where a network looks."""

import streamlit as st

from features.saliency import ClassTarget
from viz import sidebar, widgets
from viz.choosing import choose_image, show_image
from viz.figures import saliency as figures
from viz.pages.saliency.asking import choose_target, class_names, of_class
from viz.pages.saliency.drawing import draw
from viz.pages.saliency.gallery import gallery
from viz.pages.saliency.proof import prove
from viz.pages.saliency.views import BLOCK, CLASS, LEDGER, METHOD, NETWORK, RANDOMISED, STAGE, TIMELINE, show

GALLERY = "gallery"
VIEWS = (STAGE, METHOD, CLASS, NETWORK, BLOCK, LEDGER, TIMELINE, RANDOMISED, GALLERY)
WITHOUT_CLASSES = (STAGE, METHOD, BLOCK, TIMELINE, RANDOMISED)  # what a network without a head can be asked


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
        predicted = of_class(model, chosen).maps("cam") if model.network.classifier is not None else None
        with right:
            asked = choose_target(model, chosen, predicted)
            explained = asked.maps("cam")
            if predicted is not None and predicted.probabilities is not None:
                of_classes = predicted.probabilities[0]
                bars = figures.top_classes(of_classes, class_names(model), int(explained.class_ids[0]))
                widgets.chart(bars, "top")
        views = VIEWS if predicted is not None else WITHOUT_CLASSES
        if st.session_state.get("view", STAGE) not in views:
            st.session_state["view"] = STAGE
        view = st.segmented_control(
            "Side by side", views, default=STAGE, key="view", bind="query-params", required=True
        )
        if view == GALLERY:
            gallery(model)
            return
        shown = show(view, asked, predicted)
        draw(asked, explained.targets[0], view, shown)
        if view in (STAGE, METHOD, CLASS) and isinstance(asked.target, ClassTarget):
            prove(asked, [found for _, found in shown.maps])
