"""The images that the network is most wrong about."""

import streamlit as st

from features.evaluate import Evaluation
from viz.pages.evaluate import selection
from viz.picking.shown import Shown

FIRST = 24


def show(shown: Shown, evaluation: Evaluation) -> None:
    """The first of them, and a way to select so many."""
    order = evaluation.hardest()
    wrong = int((~evaluation.correct).sum())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = int(st.number_input("Of them", 1, len(order), min(FIRST, len(order)), key="hardest", width=140))
        st.button(
            f"Select the first {count:,}", icon=":material/select:",
            on_click=lambda: shown.select(evaluation.rows[order[:count]]),
        )  # fmt: skip
        if wrong:
            st.button(
                f"Select all {wrong:,} that are wrong", icon=":material/select:",
                on_click=lambda: shown.select(evaluation.rows[~evaluation.correct]),
            )  # fmt: skip
    st.caption(
        "Wrong predictions by their confidence, which is told in brackets, then right ones by their lack of it. A sure "
        "mistake is often a wrong label, or an image that two labels fit."
    )
    selection.gallery(shown, evaluation, order[: min(count, 4 * FIRST)], "hardest images")
