"""How well a second set of images is told from the first: out-of-distribution scores, stage by stage."""

import numpy as np
import pandas as pd
import streamlit as st

from features.datasets import ImageSet
from features.evaluate import NOVELTY_SCORES, Novelty, Scored
from features.sources import SAMPLE
from features.store import FeatureSet
from viz import sidebar, widgets
from viz.cached.elsewhere import is_upload
from viz.cached.evaluate import novelty_work
from viz.cached.extract import features_work
from viz.cached.made import drawn, made
from viz.figures import evaluate as figures
from viz.picking.shown import Shown
from viz.picking.tiles import tiles

SECOND, PATH, OWN = "against", "against path", "a folder or list of mine"
ENDS = 12  # pictures at either end of a score


def show(shown: Shown) -> None:
    """The second set, how well every score tells it apart, and how one score is distributed."""
    others = _second_set()
    if others is None:
        st.info(
            "Choose a second set that the network does not know: other objects, another camera, noise. Its images need "
            "no labels.",
            icon=":material/compare:",
        )
        return
    known = widgets.awaited(features_work(shown.model, shown.images), f"Reading {len(shown.images):,} images")
    strange = widgets.awaited(features_work(shown.model, others), f"Reading {len(others):,} images of {others.name}")
    durable = not (is_upload(shown.images) or is_upload(others))
    told = widgets.awaited(novelty_work(shown.model, known, strange, durable), "Scores of novelty")
    titles = {name: score.title for name, score in NOVELTY_SCORES.items() if any(told.of(name))}
    methods = "; ".join(f"{NOVELTY_SCORES[name].title.lower()}: {NOVELTY_SCORES[name].method}" for name in titles)
    widgets.exhibit(
        "Told apart along depth",
        drawn(figures.areas, told, titles),
        f"AUROC: the probability that an image of {others.name} has a higher score than one of {shown.images.name}, "
        f"0.5 where nothing tells them apart; with 95 % intervals (Newcombe 2006). A half of the known images, "
        f"{told.n_reference:,}, is what distances are measured from, the other is compared; classes by "
        f"{told.classes_by}.",
        methods,
    )
    scored = _distribution(told, titles)
    _pictures(others, strange, scored)
    table = made(table_of, told)
    st.dataframe(
        table, hide_index=True, column_config={"FPR at 95 % TPR": st.column_config.NumberColumn(format="percent")}
    )
    widgets.downloads(table, f"novelty-{shown.model.spec.name}")


def _second_set() -> ImageSet | None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        options = (OWN, SAMPLE)
        first = options.index(SAMPLE) if st.session_state["images"] != SAMPLE else 0
        chosen = st.selectbox("Second set", options, first, key=SECOND, bind="query-params", width=240)
        text = SAMPLE
        if chosen == OWN:
            text = st.text_input(
                "Path of the folder, archive or list", key=PATH, bind="query-params", placeholder="~/other-pictures"
            )
    return sidebar.others(text) if text.strip() else None


def _distribution(told: Novelty, titles: dict[str, str]) -> Scored:
    """One score at one stage, as chosen."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.segmented_control(
            "Distribution of", tuple(titles), default=next(iter(titles)), format_func=titles.__getitem__,
            key="novelty score", bind="query-params", required=True,
        )  # fmt: skip
        by_stage = {each.stage: each for each in told.of(name)}
        stage = next(iter(by_stage))
        if len(by_stage) > 1:
            stage = st.segmented_control(
                "at", tuple(by_stage), default=[*by_stage][-1], key="novelty stage", bind="query-params", required=True
            )
    scored = by_stage.get(stage) or next(iter(by_stage.values()))
    widgets.chart(
        drawn(figures.histogram, scored, titles[name], told.known_name, told.others_name), "novelty histogram"
    )
    accepted = scored.separating.accepted
    low, high = accepted.interval
    st.caption(
        f"At the threshold that keeps 95 % of the known images, {accepted.value:.1%} of the others pass for known too "
        f"({low:.1%} to {high:.1%}): the false positive rate at 95 % true positive rate. Scores beyond the ends count "
        "in the outermost bars."
    )
    return scored


def _pictures(others: ImageSet, strange: FeatureSet, scored: Scored) -> None:
    """The second set's images at both ends of a score."""
    order = np.argsort(scored.others, kind="stable")
    half = min(ENDS, max(1, len(order) // 2))
    ends = {"least": ("Taken for known most easily", order[:half]), "most": ("Newest", order[::-1][:half])}
    for name, (title, rows) in ends.items():
        st.markdown(f"**{title}**, with the score")
        texts = [f"{scored.others[row]:.4g}" for row in rows]
        tiles(others, strange.rows[rows], texts, f"novelty {name}")


def table_of(told: Novelty) -> pd.DataFrame:
    """One row per score and stage."""
    return pd.DataFrame(
        [
            {
                "score": NOVELTY_SCORES[each.score].title, "stage": each.stage or "logits",
                "AUROC": round(each.separating.auroc, 4), "low": round(each.separating.interval[0], 4),
                "high": round(each.separating.interval[1], 4), "FPR at 95 % TPR": each.separating.accepted.value,
            }
            for each in told.scored
        ]
    )  # fmt: skip
