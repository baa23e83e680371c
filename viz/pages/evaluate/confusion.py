"""What is taken for what; a click on a cell selects its images."""

import numpy as np
import pandas as pd
import streamlit as st

from features.evaluate import Evaluation
from viz import widgets
from viz.cached.made import drawn, made
from viz.figures import evaluate as figures
from viz.pages.evaluate import selection
from viz.picking.shown import Shown

CELLS, PAIRS, MOST_PAIRS = "confusion", "confused pairs", 12


def show(shown: Shown, evaluation: Evaluation) -> None:
    """The heat map and the most frequent mistakes, beside what is selected."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        _heat_map(shown, evaluation)
        _pairs(shown, evaluation)
    with right:
        selection.show(shown, evaluation)


def _heat_map(shown: Shown, evaluation: Evaluation) -> None:
    classes = made(figures.shown_classes, evaluation.confusion)
    if not len(classes):
        st.info("There is nothing to count.")
        return

    def chosen() -> None:
        points = st.session_state[CELLS].selection.point_indices
        if points:
            one, other = divmod(int(points[0]), len(classes))
            _select(shown, evaluation, int(classes[one]), int(classes[other]))

    widgets.chart(drawn(figures.confusion_of, evaluation), CELLS, on_select=chosen, selection_mode="points")
    word = "predicted as" if evaluation.predictions.assigned is None else "given"
    some = (
        f" The {len(classes)} classes with the most mistakes are shown."
        if len(classes) < _occurring(evaluation)
        else ""
    )
    st.caption(
        f"Rows are labels, columns what their images are {word}. Colours grow with the root of the share, so that rare "
        f"mistakes are seen beside the diagonal. Click a cell to select its images.{some}"
    )


def _occurring(evaluation: Evaluation) -> int:
    return int(((evaluation.confusion.sum(0) + evaluation.confusion.sum(1)) > 0).sum())


def _pairs(shown: Shown, evaluation: Evaluation) -> None:
    pairs = made(mistakes, evaluation)
    if pairs.empty:
        return

    def chosen() -> None:
        rows = st.session_state[PAIRS].selection.rows
        if rows:
            row = pairs.iloc[rows[0]]
            _select(shown, evaluation, int(row["one"]), int(row["other"]))

    st.markdown("**Most frequent mistakes**")
    st.dataframe(
        pairs[["label", "taken for", "images", "share"]], hide_index=True, key=PAIRS, on_select=chosen,
        selection_mode="single-row", column_config={"share": st.column_config.NumberColumn(format="percent")},
    )  # fmt: skip


def mistakes(evaluation: Evaluation) -> pd.DataFrame:
    """The pairs of classes that are confused most often. share: of the label's images."""
    counts = evaluation.confusion.copy()
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:MOST_PAIRS]
    names = evaluation.class_names
    rows = [
        {
            "label": names[one], "taken for": names[other], "images": int(counts[one, other]),
            "share": float(counts[one, other] / max(1, evaluation.of_class(int(one)).sum())),
            "one": int(one), "other": int(other),
        }
        for one, other in zip(*np.unravel_index(order, counts.shape), strict=True)
        if counts[one, other]
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _select(shown: Shown, evaluation: Evaluation, one: int, other: int) -> None:
    shown.select(evaluation.rows[evaluation.of_class(one) & evaluation.predicted_as(other)])
