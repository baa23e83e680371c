"""Scores on labelled images, and views of what they are made of."""

from collections.abc import Callable

import streamlit as st

from features.datasets import labels
from features.evaluate import Evaluation
from features.shares import Share
from viz import widgets
from viz.cached.evaluate import evaluation_work
from viz.pages.evaluate import calibration, classes, confusion, hardest, matching, novelty, retrieval, robustness
from viz.picking.shown import Shown

OF_SCORES: dict[str, Callable[[Shown, Evaluation], None]] = {
    "confusion": confusion.show,
    "classes": classes.show,
    "calibration": calibration.show,
    "hardest images": hardest.show,
    "worse pictures": robustness.show,
}
OF_FEATURES: dict[str, Callable[[Shown], None]] = {"retrieval": retrieval.show, "other images": novelty.show}


def render() -> None:
    """How often the network is right, where it is wrong, and how far its confidence and its features can be trusted."""
    st.title("How often the network is right")
    with widgets.show_errors():
        shown = Shown.of_sidebar()
        evaluation = _evaluation(shown)
        views = (*OF_SCORES, *OF_FEATURES) if evaluation is not None else tuple(OF_FEATURES)
        if st.session_state.get("evaluation view") not in (None, *views):
            del st.session_state["evaluation view"]  # of images with labels, before these
        view = st.segmented_control(
            "Look at", views, default=views[0], key="evaluation view", bind="query-params", required=True
        )
        with widgets.show_errors():  # of a view alone
            if view in OF_SCORES and evaluation is not None:
                OF_SCORES[view](shown, evaluation)
            else:
                OF_FEATURES[view](shown)
        widgets.camera()


def _evaluation(shown: Shown) -> Evaluation | None:
    """The scores, drawn; None where there is nothing to score, which is said."""
    name, images = widgets.escape(shown.model.spec.name), widgets.escape(shown.images.name)
    missing = f"{images} has no labels" if not shown.images.is_labelled else ""
    if shown.model.network.classifier is None:
        missing = f"{name} has no classifier"
    if missing:
        st.info(f"{missing}, so nothing says how often it is right. What its features tell can be looked at.")
        return None
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{name}** on **{len(shown.images):,}** images of {images}.", width="content")
        matched, way = matching.choose(shown)
    if matched is None:
        st.warning(widgets.told(labels.refusal(shown.model.spec, shown.images)), icon=":material/link_off:")
        return None
    matching.say(matched, shown)
    work = evaluation_work(shown.model, shown.images, way)
    evaluation = widgets.awaited(work, f"Evaluating {len(shown.images):,} images")
    _headline(evaluation)
    widgets.rejected(evaluation.rejected)
    return evaluation


def _headline(evaluation: Evaluation) -> None:
    average, many = evaluation.mean_average_precision, evaluation.predictions.assigned is not None
    with st.container(horizontal=True, gap="medium"):
        _share("All labels right" if many else "Accuracy", evaluation.accuracy_share)
        if average is not None:
            st.metric("Mean average precision", f"{average:.1%}", width="content", help="Over the labels that occur.")
        if len(evaluation.class_names) > evaluation.predictions.ranked.shape[1]:
            _share("Top five", evaluation.top5_share)
        for title, value in (
            ("Macro precision", evaluation.macro_precision),
            ("Macro recall", evaluation.macro_recall),
            ("Macro F1", evaluation.macro_f1),
        ):
            st.metric(title, f"{value:.1%}", width="content", help="The mean over the classes that occur.")
        st.metric(
            "Calibration error", f"{evaluation.calibration.equal_width.error:.1%}", width="content",
            help="By how much confidence and accuracy differ, on average (Guo et al. 2017).",
        )  # fmt: skip


def _share(title: str, share: Share) -> None:
    low, high = share.interval
    st.metric(
        title, f"{share.value:.1%}", f"{low:.1%} to {high:.1%}", delta_color="off", delta_arrow="off", width="content",
        help=f"{share.hits:,} of {share.n:,}; below, the 95 % interval (Wilson 1927).",
    )  # fmt: skip
