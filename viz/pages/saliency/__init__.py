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


def render() -> None:
    """Maps of one image: stages, methods, classes and networks beside each other, branches, the ledger, all blocks."""
    st.title("Where the network looks")
    with widgets.show_errors():
        model = sidebar.model()
        model.need_classifier()
        left, middle, right = st.columns([1.1, 0.7, 1.2], gap="medium")
        with left:
            chosen = choose_image()
        with middle:
            show_image(chosen)
        predicted = of_class(model, chosen).maps("cam")
        with right:
            asked = choose_target(model, chosen, predicted)
            explained = asked.maps("cam")
            probabilities = predicted.probabilities
            assert probabilities is not None  # of a class target
            bars = figures.top_classes(probabilities[0], class_names(model), int(explained.class_ids[0]))
            widgets.chart(bars, "top")
        view = st.segmented_control(
            "Side by side", VIEWS, default=STAGE, key="view", bind="query-params", required=True
        )
        if view == GALLERY:
            gallery(model)
            return
        shown = show(view, asked, predicted)
        draw(asked, explained.targets[0], view, shown)
        if view in (STAGE, METHOD, CLASS) and isinstance(asked.target, ClassTarget):
            prove(asked, [found for _, found in shown.maps])
