"""How well each stage's features retrieve images of the same label."""

import pandas as pd
import streamlit as st

from features.errors import FeatureError
from features.evaluate import Retrieval
from viz import widgets
from viz.cached.elsewhere import is_upload
from viz.cached.evaluate import retrieval_work
from viz.cached.extract import features_work
from viz.cached.made import drawn, made
from viz.figures import evaluate as figures
from viz.picking.shown import Shown


def show(shown: Shown) -> None:
    """Recall and mean average precision along depth."""
    if not shown.images.is_labelled:
        raise FeatureError(f"{shown.images.name} has no labels to retrieve by. Choose a set with labels.")
    features = widgets.awaited(features_work(shown.model, shown.images), f"Reading {len(shown.images):,} images")
    work = retrieval_work(shown.model, features, not is_upload(shown.images))
    told = widgets.awaited(work, "Retrieval")
    first = next(iter(told.values()))
    sampled = " by chance" if first.n_queries < first.n_images else ""
    widgets.exhibit(
        "Retrieval along depth",
        drawn(figures.retrieval, told),
        f"Each of {first.n_queries:,} images{sampled} asks for those nearest to it among the {first.n_images - 1:,} "
        "others, in the Euclidean distance of pooled features. Recall at k: the share of images among whose k nearest "
        "one has its label, with 95 % intervals; mean average precision: of all others, by distance.",
        "exact search, leaving one out",
    )
    table = made(table_of, told)
    share = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        table,
        hide_index=True,
        column_config={name: share for name in table.columns if name not in ("stage", "queries")},
    )
    widgets.downloads(table, f"retrieval-{shown.model.spec.name}")


def table_of(told: dict[str, Retrieval]) -> pd.DataFrame:
    """One row per stage."""
    rows = []
    for stage, each in told.items():
        row: dict[str, object] = {"stage": stage}
        for k, recall in each.recall.items():
            low, high = recall.interval
            row |= {f"recall at {k}": recall.value, f"low at {k}": low, f"high at {k}": high}
        rows.append(row | {"mean average precision": each.mean_average_precision, "queries": each.n_queries})
    return pd.DataFrame(rows)
