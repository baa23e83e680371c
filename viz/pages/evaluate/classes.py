"""Scores of every class; a click on a row selects its images."""

import numpy as np
import pandas as pd
import streamlit as st

from features.evaluate import Evaluation
from viz import widgets
from viz.cached.made import made
from viz.pages.evaluate import selection
from viz.picking.shown import Shown

TABLE = "class scores"
SHARES = ("precision", "F1", "average precision")


def show(shown: Shown, evaluation: Evaluation) -> None:
    """The table, sortable by any column, beside what is selected."""
    left, right = st.columns([2, 1], gap="medium")
    table = made(table_of, evaluation)

    def chosen() -> None:
        rows = st.session_state[TABLE].selection.rows
        if rows:
            shown.select(evaluation.rows[evaluation.of_class(evaluation.per_class[rows[0]].index)])

    with left:
        st.dataframe(
            made(_seen, evaluation), hide_index=True, key=TABLE, on_select=chosen, selection_mode="single-row",
            column_config={
                "recall": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1, width="small"),
                **dict.fromkeys(SHARES, st.column_config.NumberColumn(format="percent", width="small")),
            },
            height=min(620, 38 + 35 * len(table)),
        )  # fmt: skip
        st.caption(
            "Recall is the share of a class's images that are recognised, precision the share of right ones among what "
            "is taken for it, each with its 95 % interval (Wilson 1927). A column's head sorts; a ticked row selects "
            "its images."
        )
        widgets.downloads(table, f"classes-{shown.model.spec.name}")
    with right:
        selection.show(shown, evaluation)


def table_of(evaluation: Evaluation) -> pd.DataFrame:
    """One row per class that occurs."""
    rows = []
    for score in evaluation.per_class:
        low, high = score.recall_share.interval
        precision = score.precision_share
        ends = (np.nan, np.nan) if precision is None else precision.interval
        row = {
            "class": score.name, "images": score.support,
            "recall": score.recall, "recall low": low, "recall high": high,
            "precision": np.nan if precision is None else score.precision, "precision low": ends[0],
            "precision high": ends[1], "F1": score.f1,
        }  # fmt: skip
        if score.average_precision is not None:
            row["average precision"] = score.average_precision
        rows.append(row)
    return pd.DataFrame(rows)


def _seen(evaluation: Evaluation) -> pd.DataFrame:
    """The table with intervals as texts, which take less room."""
    table = table_of(evaluation)
    for name in ("recall", "precision"):
        ends = zip(table.pop(f"{name} low"), table.pop(f"{name} high"), strict=True)
        texts = [f"{low:.1%} - {high:.1%}" if low == low else "" for low, high in ends]
        table.insert(table.columns.get_loc(name) + 1, f"{name}, 95 %", texts)
    return table
