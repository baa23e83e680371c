"""What the colours of the map say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from features import embed
from features.datasets import ImageSet
from features.datasets.columns import groups_of
from viz import theme
from viz.components.point_map import Colours
from viz.pages.embed.shown import Shown

LABEL, PREDICTION, CORRECTNESS = "label", "prediction", "correctness"
CONFIDENCE, MARGIN, TRUST, DRIFT, TURNOVER, CLUSTER = (
    "confidence", "margin", "trust", "drift", "turnover", "cluster",
)  # fmt: skip
COLUMN, ONE = "column ", "label "
WIDTH = 220  # pixels
SCALE = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")  # viridis, which grows lighter throughout
CONTINUOUS = 20  # so many values of a column of numbers are still categories
LEAST_CLUSTER = 15


@dataclass(frozen=True, eq=False)
class Colouring:
    """Colours of all maps, or values of each stage's own map by the same scale."""

    colours: Colours
    of_stage: Mapping[str, np.ndarray]


def ways(images: ImageSet, predicts: bool, columns: Iterable[str]) -> list[str]:
    """What can be told of each image: one of the ways above, or COLUMN and one of its columns."""
    known = [LABEL] if images.is_labelled else []
    known += [PREDICTION] if predicts else []
    known += [CORRECTNESS] if len(known) == 2 else []
    known += [CONFIDENCE, MARGIN] if predicts else []
    return [*known, TRUST, DRIFT, TURNOVER, CLUSTER, *(f"{COLUMN}{name}" for name in columns)]


def choose(images: ImageSet, predicts: bool, columns: Iterable[str]) -> str | None:
    """What colours say: one of the ways, or ONE and one of the labels of which an image may have several."""
    known = ways(images, predicts, columns)
    if st.session_state.get("colour") not in (None, *known):
        del st.session_state["colour"]  # of the images before these
    colour = st.selectbox("Colour by", known, key="colour", bind="query-params", width=WIDTH)
    if colour != LABEL or images.label_sets is None:
        return colour
    return f"{ONE}{st.selectbox('Label', images.class_names, key='one label', width=WIDTH)}"


def of(shown: Shown, maps: embed.StageMaps, colour: str | None) -> Colouring:
    """The colours of each image. Of what is of a stage, every map has its own."""
    if colour in BY_STAGE:
        title, make = BY_STAGE[colour]
        by_stage = make(maps)
        known = np.concatenate([values[np.isfinite(values)] for values in by_stage.values()])
        low, high = (float(known.min()), float(known.max())) if len(known) and colour != TRUST else (0.0, 1.0)
        return Colouring(Colours(by_stage[[*by_stage][-1]], SCALE, (), low, high, title), by_stage)
    if colour == CLUSTER:
        stage = [*maps][-1]
        return Colouring(_categories(*_clusters(shown, maps[stage].points), f"cluster of {stage}"), {})
    said = shown.features.predictions
    if colour in (CONFIDENCE, MARGIN) and said is not None:
        values = said.confidence if colour == CONFIDENCE else said.margin
        return Colouring(Colours(values.astype(np.float32), SCALE, (), 0, 1, colour), {})
    if colour is not None and colour.startswith(COLUMN):
        return Colouring(_column(shown.columns[name := colour.removeprefix(COLUMN)], name), {})
    groups, names = groups_by(shown, colour)
    return Colouring(_categories(groups, names, colour or "image"), {})


def _by_depth(values: np.ndarray, maps: embed.StageMaps) -> dict[str, np.ndarray]:
    """(N, S - 1) values of each stage's step to the next, as those of the stage that it ends at; none of the first."""
    first, *others = maps
    steps = {name: np.ascontiguousarray(values[:, number]) for number, name in enumerate(others)}
    return {first: np.full(len(values), np.nan, np.float32), **steps}


def _turnover(maps: embed.StageMaps) -> dict[str, np.ndarray]:
    k = min(projection.graph.k for projection in maps.values()) - 1
    return _by_depth(embed.turnover(maps, k), maps)


BY_STAGE: dict[str | None, tuple[str, Callable[[embed.StageMaps], dict[str, np.ndarray]]]] = {
    TRUST: (
        "share of its neighbours here that are so in the features",
        lambda maps: {name: projection.trust.points for name, projection in maps.items()},
    ),
    DRIFT: ("way from the stage before, in widths of the map", lambda maps: _by_depth(embed.drift(maps), maps)),
    TURNOVER: ("share of neighbours that are others than at the stage before", _turnover),
}


def _categories(groups: np.ndarray, names: Sequence[str], title: str) -> Colours:
    return Colours(groups.astype(np.int32), theme.CATEGORIES, tuple(names), title=title)


def _column(values: np.ndarray, name: str) -> Colours:
    """A further column of a list: numbers on a scale if they are many, else categories."""
    if values.dtype.kind in "if" and len(np.unique(values[np.isfinite(values.astype(float))])) > CONTINUOUS:
        numbers = values.astype(np.float32)
        known = numbers[np.isfinite(numbers)]
        return Colours(numbers, SCALE, (), float(known.min()), float(known.max()), name)
    groups = groups_of(values)
    return _categories(groups.indices, list(groups.names), name)


def _clusters(shown: Shown, points: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Clusters of a map by HDBSCAN, named by their commonest label; what is in none comes last."""
    clusters = embed.clusters(points, min(LEAST_CLUSTER, max(2, len(points) // 10)))
    labels = shown.features.label_names()
    names = []
    for number in range(clusters.max() + 1):
        name = f"cluster {number + 1}"
        if labels is not None:
            words, counts = np.unique(labels[clusters == number].astype(str), return_counts=True)
            name += f": {words[counts.argmax()]} ({counts.max() / counts.sum():.0%})"
        names.append(name)
    return np.where(clusters < 0, len(names), clusters), [*names, "in no cluster"]


def groups_by(shown: Shown, colour: str | None) -> tuple[np.ndarray, list[str]]:
    """Each image's group and the groups' names, of labels, predictions or whether these are right."""
    features = shown.features
    # The network's own classes for both, where that can be, so that a class keeps its colour from one to the other.
    said = features.predictions
    classes = [indices for indices in (shown.truth, None if said is None else said.predicted) if indices is not None]
    if colour is not None and colour.startswith(ONE) and features.label_sets is not None:
        name = colour.removeprefix(ONE)
        has = features.label_sets[:, features.class_names.index(name)]
        return (~has).astype(int), [name, f"not {name}"]
    if colour == LABEL and features.labels is not None and (shown.truth is None or not shown.same_names):
        return features.labels, list(features.class_names)
    if colour in (LABEL, PREDICTION) and classes:
        occurring = np.unique(np.concatenate(classes))
        chosen = classes[0] if colour == LABEL else classes[-1]
        return np.searchsorted(occurring, chosen), [shown.matched.names[index] for index in occurring]
    if colour == CORRECTNESS and shown.correct is not None:
        return (~shown.correct).astype(int), ["correct", "wrong"]
    if colour == CORRECTNESS:
        st.info("The labels do not match the network's classes, so nothing can be called correct.")
    return np.zeros(len(features), dtype=int), ["images"]
