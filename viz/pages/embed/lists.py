"""Lists of images worth a look."""

import numpy as np
import streamlit as st

from features import embed, rasters
from features.datasets.cutting import SPLIT_COLUMN
from features.datasets.decoding import pictures
from viz import widgets
from viz.cached.embed import separation_work
from viz.cached.made import made
from viz.pages.embed import image
from viz.pages.embed.shown import Shown

SHOWN, COLUMNS, COLUMNS_OF_PAIRS, TILE = 24, 3, 2, 112


def show(shown: Shown, maps: embed.StageMaps) -> None:
    """A list by its name, of one stage; its first images, and a way to select them."""
    known_at_once = _evidence(shown, maps, next(iter(maps)))
    names = [name for name, each in embed.RANKINGS.items() if each.can_rank(known_at_once)]
    if st.session_state.get("list", names[0]) not in names:
        del st.session_state["list"]  # of the images before these, or of a link
    name = st.selectbox(
        "List", names, format_func=lambda name: embed.RANKINGS[name].title, key="list", bind="query-params"
    )
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
    separation = None
    if "separation" in ranking.needs:
        work = separation_work(shown.made_of, shown.features, maps, stage, shown.durable)
        separation = widgets.arriving(work, f"Classes at {stage}")
        if separation is None:
            return None
    return _evidence(shown, maps, stage, separation)


def _evidence(
    shown: Shown, maps: embed.StageMaps, stage: str, separation: embed.Separation | None = None
) -> embed.Evidence:
    splits = shown.columns.get(SPLIT_COLUMN)
    return embed.Evidence(
        graph=maps[stage].graph,
        labels=shown.features.labels if len(shown.features.class_names) > 1 else None,
        separation=separation,
        truth=shown.truth,
        predictions=shown.features.predictions,
        maps=maps if len(maps) > 1 else None,
        splits=splits if splits is not None and splits.dtype == object else None,
    )


def _gallery(shown: Shown, ranked: embed.Ranked, score: str) -> None:
    """The first images; of pairs both side by side, the partner first."""
    points = ranked.rows[:SHOWN]
    partners = None if ranked.partners is None else ranked.partners[:SHOWN]
    tiles = _tiles(shown, points)
    said = [shown.caption(point) for point in points]
    if partners is not None:
        tiles = [np.hstack(pair) for pair in zip(_tiles(shown, partners), tiles, strict=True)]
        said = [_pair(shown, *pair) for pair in zip(partners, points, strict=True)]
    captions = [widgets.escape(f"{value:.3g}: {text}") for text, value in zip(said, ranked.scores, strict=False)]
    st.caption(f"The number is {score}.")
    with st.container(key="ranked"):
        columns = COLUMNS if partners is None else COLUMNS_OF_PAIRS
        for place, column in enumerate(st.columns(columns, gap="xsmall")[: len(tiles)]):
            column.image(tiles[place::columns], caption=captions[place::columns], width="stretch")


def _tiles(shown: Shown, points: np.ndarray) -> list[np.ndarray]:
    opened = pictures(shown.images, [int(row) for row in shown.points[points]])
    return [np.asarray(rasters.square(picture, TILE)) for picture in opened]


def _pair(shown: Shown, one: int, other: int) -> str:
    """What two near-duplicates are called: their splits where they have some, and their labels where these differ."""
    said = [shown.caption(point) for point in (one, other)]
    splits = shown.columns.get(SPLIT_COLUMN)
    if splits is not None:
        said = [f"{text} ({splits[point]})" for text, point in zip(said, (one, other), strict=True)]
    return said[0] if said[0] == said[1] else " = ".join(said)
