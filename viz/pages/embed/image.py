"""One image of the map: what the network says of it, where it looks, what its branches add, and what is near it."""

import numpy as np
import streamlit as st

from features import embed, rasters, saliency
from features.datasets.decoding import pictures
from features.networks import zoo
from viz import widgets
from viz.cached.links import heat_link, picture_link
from viz.cached.made import drawn
from viz.cached.residual import statistics_work
from viz.cached.saliency import explainer_of, saliency_maps
from viz.components import Overlay
from viz.figures import embed as figures
from viz.pages.embed.shown import Shown
from viz.pages.saliency.overlays import SMALL_SIDE, lay_over
from viz.picking.picture import chosen_of

LOOKED_AT, BESIDE, HERE = "looked at", "beside", "Image"
TILE, NEAR = 96, 6


def look_at(point: int) -> None:
    """Bring an image up beside the map, by its number among the points; before the page's controls are drawn."""
    st.session_state.update({LOOKED_AT: point, BESIDE: HERE})


def show(shown: Shown, maps: embed.StageMaps) -> None:
    """The image that was clicked last."""
    point = st.session_state.get(LOOKED_AT)
    if point is None or point >= len(shown):
        st.subheader("No image yet")
        st.caption("Click a point: the image comes up here with its predictions, its saliency and its neighbours.")
        return
    row = int(shown.points[point])
    (picture,) = pictures(shown.images, [row])
    st.subheader(widgets.escape(shown.features.ids[point]))
    left, right = st.columns([1, 1.6])
    with left:
        st.image(np.asarray(rasters.square(picture, 2 * TILE)), width="stretch")
    with right:
        _predictions(shown, point)
    _saliency(shown, point, row)
    _neighbours(shown, maps, point)
    if shown.model is not None and st.toggle("What every branch adds to it", key="branches of image"):
        _branches(shown, shown.model, point)


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
    found = saliency_maps(
        model.key, chosen.digest, "predicted", "gradcam", taps, saliency.ClassTarget(), model, picture
    )
    seen = np.asarray(model.spec.preprocessing.framed(picture).expand(3, -1, -1).permute(1, 2, 0))
    base = picture_link(seen, SMALL_SIDE, small=True)
    tiles = [
        Overlay(tap.name, "", base.file, heat_link(rasters.scaled(values[0]), base, small=True), f"Map of {tap.name}")
        for tap, values in found.maps.items()
    ]
    st.markdown(f"**Grad-CAM of every stage** for {widgets.escape(found.targets[0])}")
    lay_over(tiles, "saliency of image", columns=min(4, len(tiles)))


def _neighbours(shown: Shown, maps: embed.StageMaps, point: int) -> None:
    """The nearest images in the features of each stage, stage under stage."""
    st.markdown("**Nearest in each stage's features**")
    for stage, projection in maps.items():
        near = projection.graph.indices[point, 1 : NEAR + 1]
        found = pictures(shown.images, [int(row) for row in shown.points[near]])
        st.caption(stage)
        for column, other, picture in zip(st.columns(NEAR, gap="xsmall"), near, found, strict=False):
            column.image(
                np.asarray(rasters.square(picture, TILE)), caption=widgets.escape(shown.caption(other)), width="stretch"
            )


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
