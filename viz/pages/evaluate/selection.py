"""The images that are selected, beside what they were selected by."""

import numpy as np
import streamlit as st

from features.evaluate import Evaluation
from viz import sidebar
from viz.pages.evaluate.captions import captions
from viz.picking.shown import Shown
from viz.picking.tiles import tiles

SHOWN = 48


def show(shown: Shown, evaluation: Evaluation) -> None:
    """How many are selected, the first of them, and a way to take that back."""
    chosen = sidebar.selection(shown.whole)
    if chosen is None:
        st.subheader("Nothing selected yet")
        st.caption("Click a cell or a row: its images appear here, and are selected on all pages and with a link.")
        return
    mine = np.flatnonzero(chosen.mask[shown.rows[evaluation.rows]])
    st.subheader(f"{len(chosen):,} of {len(shown.whole):,} images selected")
    if len(mine):
        st.caption(f"{int(evaluation.correct[mine].sum()):,} of {len(mine):,} are classified correctly.")
    with st.container(horizontal=True):
        st.button("Clear", icon=":material/close:", on_click=sidebar.choose, args=(None,))
        st.button(
            "The rest", icon=":material/flip:", on_click=sidebar.choose, args=(chosen.rest(),),
            help="Select all others instead.",
        )  # fmt: skip
    gallery(shown, evaluation, mine[:SHOWN], "selected images")
    if len(mine) > SHOWN:
        st.caption(f"The first {SHOWN} of {len(mine):,}.")


def gallery(shown: Shown, evaluation: Evaluation, images: np.ndarray, key: str) -> None:
    """Small pictures of some rows of an evaluation, with what they are and were taken for."""
    sure = evaluation.predictions.confidence[images]
    texts = [f"{text} ({share:.0%})" for text, share in zip(captions(evaluation, images), sure, strict=True)]
    tiles(shown.images, evaluation.rows[images], texts, key)
