"""Whether the network is right as often as it is sure."""

import streamlit as st

from features.evaluate import Calibration, Evaluation
from viz import widgets
from viz.cached.made import drawn
from viz.figures import evaluate as figures
from viz.picking.shown import Shown


def show(_shown: Shown, evaluation: Evaluation) -> None:
    """The reliability diagram, the calibration error, and what a temperature does to it."""
    told, decisions = evaluation.calibration, evaluation.predictions.assigned is not None
    left, right = st.columns([5, 3], gap="medium")
    with left:
        widgets.chart(drawn(figures.reliability_of, evaluation), "reliability")
        what = (
            "Every label of every image is an answer: its probability, and whether it holds. "
            if decisions
            else "Bars below the dotted line are answers that the network is surer of than it is right. "
        )
        st.caption(
            f"{what}Answers in groups of confidence: of equal width as bars, of about as many answers each as the "
            "line; below, how many answers each bar holds."
        )
    with right:
        _numbers(told, decisions)


def _numbers(told: Calibration, decisions: bool) -> None:
    with st.container(horizontal=True):
        st.metric(
            "Calibration error", f"{told.equal_width.error:.2%}", width="content",
            help="The mean over all answers of |accuracy - confidence| of their group, of equal width.",
        )  # fmt: skip
        st.metric("of equal mass", f"{told.equal_mass.error:.2%}", width="content")
    if not decisions:
        over = told.mean_confidence - told.accuracy
        word = "surer than it is right" if over > 0 else "less sure than it is right"
        st.markdown(
            f"It is right in {told.accuracy:.1%} and sure of {told.mean_confidence:.1%} on average: "
            f"{100 * abs(over):.1f} points {word}."
        )
    st.markdown("**Temperature scaling**")
    fitted = told.temperature
    if fitted is None:
        st.caption("There are too few images to fit a temperature and tell of it, or no one label for each.")
        return
    st.metric(
        "Temperature", f"{fitted.value:.3f}", width="content",
        help="Dividing all logits by it makes the network less sure above 1, and surer below. No prediction changes.",
    )  # fmt: skip
    st.dataframe(
        {
            "": ["calibration error", "cross-entropy, nats"],
            "before": [f"{fitted.error_before:.2%}", f"{fitted.loss_before:.4f}"],
            "after": [f"{fitted.error_after:.2%}", f"{fitted.loss_after:.4f}"],
        },
        hide_index=True,
    )
    st.caption(
        f"Fitted on {fitted.n_fitted:,} images by cross-entropy, told of {fitted.n_told:,} others. "
        "[Guo et al. 2017](https://arxiv.org/abs/1706.04599)."
    )
