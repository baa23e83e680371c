"""The page that shows how a network arranges images."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import streamlit as st

from features import rasters
from features.datasets import ImageSet, labels
from features.datasets.columns import groups_of
from features.datasets.decoding import pictures
from features.embed.projection import METHODS, Projection
from features.networks import zoo
from features.store import FeatureSet
from viz import sidebar, widgets
from viz.cached.elsewhere import is_upload
from viz.cached.embed import embed_work
from viz.cached.extract import features_work
from viz.cached.made import drawn
from viz.cached.pictures import SHEET_COLUMNS, sheet_job
from viz.components import hover_pictures
from viz.figures import embed as figures

SHOWN, COLUMNS = 60, 3
LABEL, PREDICTION, CORRECTNESS = "label", "prediction", "correctness"
COLUMN, ONE = "column ", "label "
CHART = "embedding"
WIDTH = 200  # pixels of a list to choose from


@dataclass(frozen=True, eq=False)
class Shown:
    """What the page is about: the network, the images and what was found for them."""

    model: zoo.Model
    images: ImageSet
    features: FeatureSet
    matched: labels.Matched

    @cached_property
    def truth(self) -> np.ndarray | None:
        """(N,) the network's class of every image, where labels can be matched with classes and each has one."""
        return self.matched.at(self.features.rows)

    @cached_property
    def correct(self) -> np.ndarray | None:
        """(N,) whether each prediction is right."""
        said, truth = self.features.predictions, self.matched.truth(self.features.rows)
        return None if truth is None or said is None else said.correct(truth)

    @property
    def same_names(self) -> bool:
        """Whether the labels are the network's classes, not only taken for them."""
        return not self.matched.guessed

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per image: id, label, pred, confidence."""
        return self.features.table()

    def label(self, row: int) -> str | None:
        return self.table["label"].iat[row]

    def prediction(self, row: int) -> str | None:
        return self.table["pred"].iat[row]


def render() -> None:
    """A map of one stage's pooled features; a lasso brings up the chosen images."""
    st.title("How the network arranges images")
    with widgets.show_errors():
        model, images = sidebar.model(), sidebar.images()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            stage, method, neighbours, min_dist, seed = _settings(model)
            colour = _colour_by(model, images)
        sheet_job(images)  # made while the features are read, so that the map need not wait for it
        features = widgets.awaited(features_work(model, images), f"Reading {len(images):,} images")
        shown = Shown(model, images, features, labels.matched(model.spec, images))
        work = embed_work(model, features, stage, method, neighbours, min_dist, seed, not is_upload(images))
        projection = widgets.awaited(work, f"Laying out {len(features):,} points")
        widgets.rejected(features.rejected)
        left, right = st.columns([2, 1], gap="medium")
        with left:
            rows = _draw(shown, projection, colour)
        with right:
            _trust(projection)
            _selection(shown, rows)


def _settings(model: zoo.Model) -> tuple[str, str, int, float, int]:
    stages = model.network.stage_names
    if st.session_state.get("stage") not in (None, *stages):
        del st.session_state["stage"]  # the network before this one had more stages
    stage = st.segmented_control("Stage", stages, default=stages[-1], key="stage", bind="query-params", required=True)
    method = st.segmented_control(
        "Method",
        tuple(METHODS),
        default="umap",
        format_func=lambda name: METHODS[name].title,
        key="method",
        bind="query-params",
        required=True,
    )
    with st.popover("Settings", icon=":material/tune:"):
        neighbours = st.slider("Neighbours", 2, 100, 15, key="neighbours", bind="query-params")
        min_dist = st.slider("Minimal distance (UMAP)", 0.0, 1.0, 0.1, key="min_dist", bind="query-params")
        seed = st.number_input("Seed (UMAP)", 0, 10_000, 0, key="seed", bind="query-params")
    return stage, method, neighbours, min_dist, seed


def _colour_by(model: zoo.Model, images: ImageSet) -> str | None:
    """What colours say: one of the ways above, COLUMN and one of the set's columns, or ONE and one of its labels."""
    ways = [LABEL] if images.is_labelled else []
    ways += [PREDICTION] if model.network.classifier is not None else []
    ways += [CORRECTNESS] if len(ways) == 2 else []
    ways += [f"{COLUMN}{name}" for name in images.columns]
    if not ways:
        return None
    if st.session_state.get("colour") not in (None, *ways):
        del st.session_state["colour"]  # of the images before these
    if images.columns:
        colour = st.selectbox("Colour by", ways, key="colour", bind="query-params", width=WIDTH)
    else:
        colour = st.segmented_control(
            "Colour by", ways, default=ways[0], key="colour", bind="query-params", required=True
        )
    if colour != LABEL or images.label_sets is None:
        return colour
    return f"{ONE}{st.selectbox('Label', images.class_names, key='one label', width=WIDTH)}"


def _trust(projection: Projection) -> None:
    with st.container(horizontal=True):
        st.metric(
            "Trustworthiness",
            f"{projection.trustworthiness:.3f}",
            help="1 when points that are neighbours here are neighbours in the feature space too (Venna & Kaski 2001).",
            width="content",
        )
        st.metric(
            "Neighbours kept",
            f"{projection.kept:.0%}",
            help=f"Share of each image's nearest in the feature space (at most {projection.neighbours}) that are still "
            "its nearest here. Both scores are taken over at most 5,000 points.",
            width="content",
        )


def _draw(shown: Shown, projection: Projection, colour: str | None) -> list[int]:
    """The map; returns the rows inside the last lasso or box."""
    features = shown.features
    groups, names = _groups(shown, colour)
    texts = [_text(shown, row) for row in range(len(features))]
    rows = _chosen_rows(shown)
    figure = drawn(figures.scatter, projection, groups, names, texts, features.rows, rows)
    sheet = widgets.result(sheet_job(shown.images), "Making small pictures")
    widgets.chart(figure, _chart_key(), on_select="rerun", selection_mode=("lasso", "box"))
    hover_pictures(_chart_key(), sheet, SHEET_COLUMNS)
    st.caption(
        "Every point is an image: its stage's output averaged over space, laid out so that similar ones lie "
        "close. Distances between far "
        "groups, and the groups' sizes, mean little. Draw a lasso or a box to see the images; point at one to see it."
    )
    if len(names) > figures.TOO_MANY:
        st.caption("Too many classes for a colour each: similar colours only stand next to each other in the list.")
    if shown.truth is not None and shown.matched.how != labels.BY_NAME and shown.same_names:
        st.caption(f"The labels are the network's classes {shown.matched.how}.")
    if colour == CORRECTNESS and not shown.same_names:
        said = f"{shown.matched.guessed} If they are other classes, nothing here says what is correct."
        st.warning(widgets.told(said), icon=":material/help:")
    return rows


def _chosen_rows(shown: Shown) -> list[int]:
    """The last selection, kept apart from the chart, whose own is lost when its colours or its stage change."""
    scope = f"{shown.model.key} {shown.images.digest}"
    chart = st.session_state.get(_chart_key())
    if chart and chart.selection.point_indices:
        st.session_state["chosen_rows"] = (scope, sorted(chart.selection.point_indices))
    kept_scope, rows = st.session_state.get("chosen_rows", ("", []))
    return [row for row in rows if row < len(shown.features)] if kept_scope == scope else []


def _chart_key() -> str:
    """A new chart after every clearing: the old one would go on reporting its selection."""
    cleared = st.session_state.get("cleared", 0)
    return f"{CHART}_{cleared}" if cleared else CHART


def _groups(shown: Shown, colour: str | None) -> tuple[np.ndarray, list[str]]:
    """Each point's group and the groups' names."""
    features = shown.features
    # The network's own classes for both, where that can be, so that a class keeps its colour from one to the other.
    said = features.predictions
    classes = [indices for indices in (shown.truth, None if said is None else said.predicted) if indices is not None]
    if colour is not None and colour.startswith(COLUMN):
        groups = groups_of(features.columns[colour.removeprefix(COLUMN)])
        return groups.indices, list(groups.names)
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


def _text(shown: Shown, row: int) -> str:
    lines = [shown.features.ids[row]]
    label, prediction = shown.label(row), shown.prediction(row)
    lines += [f"label: {label}"] if label else []
    if prediction:
        lines.append(f"predicted: {prediction} ({shown.table['confidence'].iat[row]:.0%})")
    return "|".join(line.replace("|", "/") for line in lines)


def _selection(shown: Shown, rows: list[int]) -> None:
    if not rows:
        st.subheader("Nothing selected yet")
        st.caption("The images inside your lasso appear here.")
        return
    st.subheader(f"{len(rows):,} images selected")
    if shown.correct is not None:
        right = int(shown.correct[rows].sum())
        st.markdown(f"{right:,} of them are classified correctly, {len(rows) - right:,} are not.")
    with st.container(horizontal=True):
        st.download_button(
            "Download the selection (CSV)",
            lambda: _table(shown, rows),
            file_name="selection.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        if st.button("Clear", icon=":material/close:"):
            del st.session_state["chosen_rows"]
            st.session_state["cleared"] = st.session_state.get("cleared", 0) + 1
            st.rerun()
    first = rows[:SHOWN]
    found = pictures(shown.images, [int(shown.features.rows[row]) for row in first])
    tiles = [np.asarray(rasters.square(picture, 112)) for picture in found]
    captions = [_caption(shown, row) for row in first]
    with st.container(key="thumbnails"):
        for place, column in enumerate(st.columns(COLUMNS, gap="xsmall")[: len(tiles)]):
            column.image(tiles[place::COLUMNS], caption=captions[place::COLUMNS], width="stretch")
    if len(rows) > SHOWN:
        st.caption(f"The first {SHOWN} of {len(rows):,}.")


def _caption(shown: Shown, row: int) -> str:
    label, prediction = shown.label(row), shown.prediction(row)
    if label and prediction and shown.correct is not None and not shown.correct[row]:
        return widgets.escape(f"{label} → {prediction}")
    return widgets.escape(label or prediction or shown.features.ids[row])


def _table(shown: Shown, rows: list[int]) -> str:
    table = shown.table.iloc[rows].rename(columns={"pred": "prediction"})
    return table.to_csv(index=False, float_format="%.6f", lineterminator="\r\n")
