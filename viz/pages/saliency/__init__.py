"""The page that shows where a network looks."""

from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from features.errors import FeatureError
from features.predictions import likeliest, probabilities
from features.saliency import ClassTarget
from viz import sidebar, widgets
from viz.cached.made import drawn
from viz.figures import saliency as figures
from viz.pages.faithfulness import measured
from viz.pages.saliency import worse
from viz.pages.saliency.gallery import gallery
from viz.pages.saliency.overlays import Shown, draw
from viz.pages.saliency.views import STAGES, VIEWS
from viz.picking.picture import choose_image, show_image
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
            likeliest = _Likeliest(explained, st.container())
        name = _choose_view(with_classes=model.network.classifier is not None)
        shown = None
        if name == worse.NAME:
            likeliest.draw()
            worse.show(explained)
            return
        try:
            if name != GALLERY:
                shown = VIEWS[name].show(replace(explained, before_waiting=likeliest.draw))
        except FeatureError:
            likeliest.draw()
            raise
        likeliest.draw(shown)
        if shown is None:
            gallery(model)
            return
        draw(explained, name, VIEWS[name].title(shown), shown)
        if VIEWS[name].measured and isinstance(explained.target, ClassTarget):
            measured(explained, [maps for _, maps in shown.maps])


def _choose_view(with_classes: bool) -> str:
    names = [name for name, view in VIEWS.items() if with_classes or not view.of_classes]
    names += [worse.NAME, GALLERY] if with_classes else []
    if st.session_state.get("view", STAGES) not in names:
        st.session_state["view"] = STAGES
    return st.segmented_control("Side by side", names, default=STAGES, key="view", bind="query-params", required=True)


class _Likeliest:
    """The likeliest classes of a picture as bars, drawn once a run.

    Not before the maps, whose forward pass brings the probabilities; but by a pass of its own where maps have none, and
    while a view waits or says what is wrong.
    """

    def __init__(self, explained: Explained, container: DeltaGenerator) -> None:
        self.explained, self.container = explained, container
        self.drawn = explained.model.network.classifier is None  # there is nothing to draw

    def draw(self, shown: Shown | None = None) -> None:
        if self.drawn:
            return
        self.drawn = True
        model, target = self.explained.model, self.explained.target
        maps = [] if shown is None else [each for network, each in shown.maps if network is model]
        logits = next((each.logits[0] for each in maps if each.logits is not None), None)
        logits = logits_of(model, self.explained.chosen) if logits is None else logits  # (K,)
        index = -1
        if isinstance(target, ClassTarget):
            index = int(logits.argmax()) if target.index is None else target.index
        with self.container:
            outputs = model.spec.outputs
            (chances,) = probabilities(logits[None], outputs)  # (K,)
            order = likeliest(logits[None])[0].tolist()
            widgets.chart(drawn(figures.top_classes, chances, class_names(model), index, order, outputs), "top")
