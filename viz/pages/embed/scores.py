"""How far each stage's map can be trusted, and how its features tell the classes apart."""

import pandas as pd
import streamlit as st

from features import embed
from viz import widgets
from viz.cached import server
from viz.cached.embed import reseeded_work, separation_work
from viz.cached.made import drawn
from viz.figures import embed as figures
from viz.pages.embed.shown import Shown


def show(shown: Shown, maps: embed.StageMaps) -> None:
    """Trust of every map; accuracy of each stage's features along depth."""
    st.subheader("Trust")
    seeds = widgets.arriving(reseeded_work(shown.made_of, shown.features, maps, shown.durable), "Maps of another seed")
    st.dataframe(_trust_table(maps, seeds))
    first = next(iter(maps.values())).trust
    st.caption(
        "Trustworthiness: no false neighbours appear on the map; continuity: no true ones are torn apart (Venna & "
        f"Kaski 2001), of {first.ranked:,} points. Kept: share of each image's {first.k} neighbours on the map that "
        "are so in the features. Seed to seed: what of one map another seed's does not hold (Procrustes), 0 for none. "
        "Graph: share of the true neighbours that were looked at."
    )
    st.subheader("Classes along depth")
    if shown.features.labels is None or len(shown.features.class_names) < 2:
        st.caption("There are no labels, one for each image, to tell apart.")
        return
    scores = {}
    for stage in maps:
        work = separation_work(shown.made_of, shown.features, maps, stage, shown.durable)
        separation = widgets.arriving(work, f"Classes at {stage}")
        if separation is None:
            return
        scores[stage] = separation
    widgets.chart(drawn(figures.separation, scores), "separation")
    st.caption(
        "Accuracy by the votes of each image's nearest neighbours (itself left out) and by a linear classifier on "
        "images that it has not seen (five folds), with 95 % intervals (Wilson 1927); the classes' mean silhouette."
    )
    rows = [
        {"stage": stage, "label": one, "taken for": other, "images": count}
        for stage, separation in scores.items()
        for one, other, count in separation.confused()
    ]
    if rows:
        st.markdown("**Most often mistaken by the neighbours**")
        st.dataframe(pd.DataFrame(rows), hide_index=True)


def known_seeds(shown: Shown, maps: embed.StageMaps) -> dict[str, float]:
    """How far each map is from one of another seed, where that was computed; it is when the scores are opened."""
    work = reseeded_work(shown.made_of, shown.features, maps, shown.durable)
    if not server.jobs().has_result(work):
        return {}
    run = server.ask(work).run
    return {} if run is None or run.error is not None or run.stopped else run.result


def _trust_table(maps: embed.StageMaps, seeds: dict[str, float] | None) -> pd.DataFrame:
    """A column for each stage, since there are fewer of these than the panel is wide."""
    return pd.DataFrame(
        {
            stage: {
                "trust": f"{projection.trust.trustworthiness:.3f}",
                "continuity": f"{projection.trust.continuity:.3f}",
                "kept": f"{projection.trust.recall:.0%}",
                "seed to seed": "pending" if seeds is None else f"{seeds[stage]:.3f}",
                "graph": f"{projection.trust.graph_recall:.1%}",
            }
            for stage, projection in maps.items()
        }
    )
