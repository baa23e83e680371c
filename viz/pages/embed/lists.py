"""Lists of images worth a look."""

import numpy as np
import streamlit as st

from features import embed, rasters
from features.datasets.decoding import pictures
from viz import widgets
from viz.cached.embed import separation_work
from viz.cached.made import made
from viz.pages.embed import image
from viz.pages.embed.shown import Shown

SHOWN, COLUMNS, TILE = 24, 3, 112


def show(shown: Shown, maps: embed.StageMaps) -> None:
    """A list by its name, of one stage; its first images, and a way to select them."""
    name = st.selectbox(
        "List", tuple(embed.RANKINGS), format_func=lambda name: embed.RANKINGS[name].title, key="list",
        bind="query-params",
    )  # fmt: skip
    stage = st.segmented_control("At", tuple(maps), default=[*maps][-1], key="list stage", required=True)
    ranking = embed.RANKINGS[name]
    st.caption(f"By {ranking.method}.")
    known = _known(shown, maps, stage, ranking)
    if known is None:
        return
    ranked = made(ranking.of, known)
    if not len(ranked.rows):
        st.info("There is none.")
        return
    count = int(st.number_input("Of them", 1, len(ranked.rows), min(SHOWN, len(ranked.rows)), key=f"count {name}"))
    if st.button(f"Select the first {count:,}", icon=":material/select:"):
        first = ranked.rows[:count]
        both = first if ranked.partners is None else np.union1d(first, ranked.partners[:count])
        image.take(shown, both)
        st.rerun()
    _gallery(shown, ranked, ranking.score)


def _known(shown: Shown, maps: embed.StageMaps, stage: str, ranking: embed.rankings.Ranking) -> embed.Evidence | None:
    """What a list needs; None while it is being worked on."""
    labelled = shown.features.labels is not None and len(shown.features.class_names) > 1
    separation = None
    if "separation" in ranking.needs and labelled:
        work = separation_work(shown.made_of, shown.features, maps, stage, shown.durable)
        separation = widgets.arriving(work, f"Classes at {stage}")
        if separation is None:
            return None
    return embed.Evidence(
        graph=maps[stage].graph,
        labels=shown.features.labels,
        separation=separation,
        truth=shown.truth,
        predictions=shown.features.predictions,
        maps=maps,
    )


def _gallery(shown: Shown, ranked: embed.Ranked, score: str) -> None:
    points = ranked.rows[:SHOWN]
    opened = pictures(shown.images, [int(row) for row in shown.points[points]])
    tiles = [np.asarray(rasters.square(picture, TILE)) for picture in opened]
    captions = [
        widgets.escape(f"{value:.3g}: {shown.caption(point)}")
        for point, value in zip(points, ranked.scores, strict=False)
    ]
    st.caption(f"The number is {score}.")
    with st.container(key="ranked"):
        for place, column in enumerate(st.columns(COLUMNS, gap="xsmall")[: len(tiles)]):
            column.image(tiles[place::COLUMNS], caption=captions[place::COLUMNS], width="stretch")
