"""One image of the map: what the network says of it, where it looks, what its branches add, and what is near it."""

import hashlib
from contextlib import suppress

import numpy as np
import streamlit as st
from PIL import Image

from features import embed, rasters, saliency
from features.datasets.decoding import pictures
from features.datasets.images import decode
from features.errors import FeatureError
from features.networks import zoo
from features.sources import EXTENSIONS
from viz import sidebar, widgets
from viz.cached.embed import Places, placed_picture
from viz.cached.links import heat_link, picture_link
from viz.cached.made import drawn
from viz.cached.residual import statistics_work
from viz.cached.saliency import explainer_of, saliency_maps
from viz.components import Overlay
from viz.figures import embed as figures
from viz.pages.embed.shown import Shown
from viz.picking.overlays import SMALL_SIDE, lay_over
from viz.picking.picture import chosen_of

LOOKED_AT, BESIDE, HERE = "looked at", "beside", "Image"
LINKED = "looked_at"  # in links: the id of the image that was brought up; "image" is a number on other pages
UPLOADED = "image to place"
TILE, NEAR = 96, 6


def look_at(shown: Shown, point: int) -> None:
    """Bring an image up beside the map, by its number among the points; before the page's controls are drawn."""
    st.session_state.update({LOOKED_AT: (shown.images.digest, int(shown.points[point])), BESIDE: HERE})
    st.query_params[LINKED] = shown.features.ids[point]


def looked_at(shown: Shown) -> int | None:
    """The point of the image that was brought up last, or that a link names; None while that is of another set, has no
    point, or is not what stands beside the map."""
    if st.session_state.get(BESIDE, st.query_params.get(BESIDE)) != HERE:
        return None
    images, row = st.session_state.get(LOOKED_AT, (None, -1))
    if images != shown.images.digest:
        linked = st.query_params.get(LINKED)
        return shown.features.ids.index(linked) if linked in shown.features.ids else None
    points = np.flatnonzero(shown.points == row)
    if not len(points):
        return None
    st.query_params[LINKED] = shown.features.ids[points[0]]  # a page that is opened by its name comes without
    return int(points[0])


def pins(shown: Shown, maps: embed.StageMaps) -> dict[str, list[tuple[float, float]]]:
    """Where an uploaded picture would lie on each map; nothing where there is none, or it cannot be read."""
    if st.session_state.get(BESIDE) != HERE or shown.model is None:
        return {}
    with suppress(FeatureError):  # told beside the map
        _, placed = _placed(shown, shown.model, maps)
        return {stage: [(float(x), float(y)) for x, y in where.points] for stage, where in placed.items()}
    return {}


def _placed(shown: Shown, model: zoo.Model, maps: embed.StageMaps) -> tuple[Image.Image | None, Places]:
    """The picture that is uploaded, and where it lies. Raises ImageError if it is none."""
    file = st.session_state.get(UPLOADED)
    if file is None:
        return None, {}
    data = file.getvalue()
    picture = decode(data, file.name)
    settings, digest = next(iter(maps.values())).settings, hashlib.sha256(data).hexdigest()
    placed = placed_picture(shown.made_of, digest, settings, tuple(maps), model, shown.features, maps, picture)
    return picture, placed


def show(shown: Shown, maps: embed.StageMaps) -> None:
    """The image that was clicked last; and where one of the visitor's own would lie."""
    if shown.model is not None:
        with st.expander("An image of mine", icon=":material/upload:"):
            _of_visitor(shown, shown.model, maps)
    point = looked_at(shown)
    if point is None:
        st.subheader("No image yet")
        st.caption("Click a point: the image comes up here with its predictions, its saliency and its neighbours.")
        return
    row = int(shown.points[point])
    (picture,) = pictures(shown.images, [row])
    st.subheader(widgets.escape(shown.features.ids[point]))
    left, right = st.columns([1, 1.6])
    with left:
        st.image(np.asarray(rasters.square(picture, 2 * TILE)), width="stretch")
        sidebar.noting.of_image(shown.images, row, "the image")
    with right:
        _predictions(shown, point)
    _saliency(shown, point, row)
    st.markdown("**Nearest in each stage's features**")
    for stage, projection in maps.items():
        _row_of(shown, stage, projection.graph.indices[point, 1 : NEAR + 1])
    if shown.model is not None and st.toggle("What every branch adds to it", key="branches shown"):
        _branches(shown, shown.model, point)


def _of_visitor(shown: Shown, model: zoo.Model, maps: embed.StageMaps) -> None:
    """An uploaded picture: what is near it at every stage, and where it would lie; no point of the map moves."""
    kinds = [extension[1:] for extension in EXTENSIONS]
    st.file_uploader("An image", type=kinds, label_visibility="collapsed", key=UPLOADED)
    picture, placed = _placed(shown, model, maps)
    if picture is None:
        return
    left, right = st.columns([1, 3], vertical_alignment="center")
    left.image(np.asarray(rasters.square(picture, TILE)), width="stretch")
    right.caption("The diamond on each map is where it lies. Below, what is nearest to it in each stage's features.")
    for stage, where in placed.items():
        _row_of(shown, stage, where.indices[0, :NEAR])
    last = [*placed][-1]
    if st.button("Select its neighbours", icon=":material/select:", help=f"In the features of {last}."):
        take(shown, placed[last].indices[0])
        st.rerun()


def _row_of(shown: Shown, title: str, near: np.ndarray) -> None:
    opened = pictures(shown.images, [int(row) for row in shown.points[near]])
    st.caption(title)
    for column, other, picture in zip(st.columns(NEAR, gap="xsmall"), near, opened, strict=False):
        column.image(
            np.asarray(rasters.square(picture, TILE)), caption=widgets.escape(shown.caption(other)), width="stretch"
        )


def take(shown: Shown, points: np.ndarray) -> None:
    """Select some points of the map, by their numbers, for all pages."""
    sidebar.select(shown.images, shown.points[points])


def _predictions(shown: Shown, point: int) -> None:
    label, said = shown.label(point), shown.features.predictions
    if label:
        st.markdown(f"Label: **{widgets.escape(label)}**")
    if said is None:
        st.caption("The network has no classifier, so it predicts nothing.")
        return
    for index, chance in zip(said.ranked[point], said.probabilities[point], strict=True):
        st.progress(float(chance), f"{widgets.escape(said.class_names[index])} {chance:.1%}")


def _saliency(shown: Shown, point: int, row: int) -> None:
    """Grad-CAM of every stage for the predicted class, all on one scale each."""
    if (model := shown.model) is None or shown.features.predictions is None:
        return
    (picture,) = pictures(shown.images, [row])
    chosen = chosen_of(picture, shown.features.ids[point], shown.label(point), durable=False)
    taps = explainer_of(model.key, model).taps(saliency.STAGES)
    maps = saliency_maps(model.key, chosen.digest, "predicted", "gradcam", taps, saliency.ClassTarget(), model, picture)
    seen = np.asarray(model.spec.preprocessing.framed(picture).expand(3, -1, -1).permute(1, 2, 0))
    base = picture_link(seen, SMALL_SIDE, small=True)
    tiles = [
        Overlay(tap.name, "", base.file, heat_link(rasters.scaled(values[0]), base, small=True), f"Map of {tap.name}")
        for tap, values in maps.maps.items()
    ]
    st.markdown(f"**Grad-CAM of every stage** for {widgets.escape(maps.targets[0])}")
    lay_over(tiles, "saliency of image", columns=min(4, len(tiles)))


def _branches(shown: Shown, model: zoo.Model, point: int) -> None:
    """|F|/|x| of every block for this image beside the range of the set."""
    images = shown.images
    statistics = widgets.arriving(statistics_work(model, images), f"Branches of {len(images):,} images")
    if statistics is None:
        return
    name = shown.features.ids[point]
    if name not in statistics.ids:
        st.caption("The numbers of this image were not kept: the set is very large.")
        return
    widgets.chart(drawn(figures.branches_of, statistics, statistics.ids.index(name)), "branches of image")
    st.caption(
        "|F|/|x| of every block for this image; the band holds the middle 80 % of all images, the line half of them."
    )
