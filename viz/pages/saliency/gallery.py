"""The maps of many images, those that are classified wrongly first."""

import numpy as np
import streamlit as st

from features import saliency
from features.datasets import labels
from features.datasets.decoding import pictures
from features.networks import zoo
from features.predictions import Predictions
from viz import sidebar, widgets
from viz.cached.extract import features_work
from viz.cached.links import heat_link, picture_link
from viz.cached.saliency import gallery_maps
from viz.components import Overlay
from viz.pages.saliency.overlays import archive
from viz.pages.saliency.views import STAGES
from viz.picking.overlays import SMALL_SIDE, lay_over
from viz.picking.picture import SAMPLE
from viz.picking.target import class_names, numbered_classes

GALLERY_SIZE = 25


def gallery(model: zoo.Model) -> None:
    images = sidebar.images()
    features = widgets.awaited(features_work(model, images), f"Reading {len(images):,} images")
    said = features.predictions
    assert said is not None  # the view needs classes
    matched = labels.matched(model.spec, images)
    truth, held = matched.at(features.rows), matched.truth(features.rows)  # (N,) classes; these, or (N, K) labels
    wrong = np.zeros(len(said), bool) if held is None else ~said.correct(held)
    names, given = class_names(model), features.label_names()
    order = _choose_rows(model, said, held, wrong)
    errors = "their labels are not the network's classes, so errors cannot be told"
    if held is not None:
        errors = f"{int(wrong[order].sum()):,} of them errors"
    st.caption(f"{len(order):,} of {len(features):,} images, {errors}.")
    if not len(order):
        return
    pages = -(-len(order) // GALLERY_SIZE)
    page = st.number_input("Page", 1, pages, key=f"gallery page {pages}") if pages > 1 else 1
    chosen = order[(int(page) - 1) * GALLERY_SIZE : int(page) * GALLERY_SIZE]
    numbers = tuple(int(features.rows[row]) for row in chosen)
    maps, seen = gallery_maps(model.key, images.digest, numbers, model, images)
    (values,) = maps.maps.values()
    tiles = [
        _tile(
            heat,
            picture,
            f"{'✗ ' if wrong[row] else ''}{names[said.predicted[row]]} {said.confidence[row]:.0%}",
            f"number {number}"
            + (f", label {names[truth[row]] if truth is not None else given[row]}" if held is not None else ""),
            images.ids[number],
        )
        for row, number, heat, picture in zip(chosen, numbers, values, seen, strict=True)
    ]

    def look_closely(tile: int) -> None:
        st.session_state.update({"image": numbers[tile], "view": STAGES})
        if st.session_state.get("origin") != SAMPLE:
            st.session_state["origin"] = SAMPLE

    lay_over(tiles, "gallery", pick="Look closely", on_pick=look_closely)
    st.download_button(
        "Download these overlays, raw maps and manifest",
        lambda: archive(
            dict(zip((images.ids[number] for number in numbers), pictures(images, numbers), strict=True)),
            [(model, maps)], saliency.Drawing(), {"images": images.name, "images_digest": images.digest},
        ),
        file_name=f"saliency-{model.spec.name}-gallery.zip", mime="application/zip", icon=":material/download:",
        on_click="ignore",
    )  # fmt: skip
    st.caption(
        "The last stage's map for each image's predicted class, errors (✗) first, the surest of them first. Click "
        "one to look at it closely."
    )


def _choose_rows(model: zoo.Model, said: Predictions, truth: np.ndarray | None, wrong: np.ndarray) -> np.ndarray:
    """The rows that are chosen, in the order in which they are shown."""
    left, middle, right = st.columns([1.2, 1.2, 1])
    with left:
        numbered = numbered_classes(model)
        kind = st.selectbox("Class (label or prediction)", ["all", *numbered], key="gallery class", bind="query-params")
    with middle:
        low, high = st.slider("Confidence", 0.0, 1.0, (0.0, 1.0), 0.01, key="confidence")
    with right:
        only = st.toggle("Errors only", key="errors", bind="query-params", disabled=truth is None) and truth is not None
    keep = (said.confidence >= low) & (said.confidence <= high)
    if kind != "all":
        index = numbered.index(kind)
        keep &= (said.predicted == index) | _has(truth, index, len(keep))
    if only:
        keep &= wrong
    order = np.flatnonzero(keep)
    # Errors first, the surest of them first.
    return order[np.lexsort((-said.confidence[order], ~wrong[order]))]


def _has(truth: np.ndarray | None, index: int, n_images: int) -> np.ndarray:
    """(N,) bool, whether a class is an image's label, or one of its labels."""
    if truth is None:
        return np.zeros(n_images, bool)
    return truth[:, index] if truth.ndim == 2 else np.equal(truth, index)


def _tile(heat: np.ndarray, picture: np.ndarray, title: str, caption: str, alt: str) -> Overlay:
    base = picture_link(picture, SMALL_SIDE, small=True)
    return Overlay(title, caption, base.file, heat_link(heat, base, small=True), alt)
