"""A bench on which blocks are switched off, and what becomes of one image and of the whole set."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from features import residual
from features.datasets import ImageSet, labels
from features.networks import zoo
from features.predictions import likeliest
from features.residual import BlockStatistics
from features.saliency import SaliencyMaps
from viz import widgets
from viz.cached.embed import moved_features
from viz.cached.extract import features_work
from viz.cached.links import heat_link, picture_link
from viz.cached.made import drawn
from viz.components import Overlay, overlays
from viz.figures import embed as embed_figures
from viz.figures import saliency as figures
from viz.picking.picture import Chosen, choose_image, show_image
from viz.picking.target import class_names, of_class

SIDE, BENCH_IMAGES = 320, 300


@dataclass(frozen=True, eq=False)
class Bench:
    """A network as it is and as it is with a lesion; `changed` is `intact` where nothing is switched off."""

    intact: zoo.Model
    changed: zoo.Model
    lesion: residual.Lesion | None


def bench(model: zoo.Model, images: ImageSet, statistics: BlockStatistics) -> None:
    """Switch blocks off, and see predictions, Grad-CAM and the map of the set change."""
    model.need_classifier()
    off = st.pills(
        "Blocks to switch off", statistics.blocks, selection_mode="multi", key="off", bind="query-params", wrap=True,
        help="The network that other visitors see stays as it is.",
    )  # fmt: skip
    factor = st.slider(
        "Multiply their branches by", -1.0, 2.0, 0.0, 0.25, key="factor", bind="query-params", width=360,
        help="0 switches a branch off, 1 leaves it as it is, below 0 turns it round.",
    )  # fmt: skip
    ordered = [name for name in statistics.blocks if name in off]
    lesion = None
    if ordered and factor != 1:
        lesion = residual.without(*ordered) if factor == 0 else residual.scaled(factor, *ordered)
    here = Bench(model, residual.lesioned(model, lesion) if lesion else model, lesion)
    _one_image(here)
    _whole_set(here, images)


def _one_image(here: Bench) -> None:
    st.subheader("One image")
    left, wide = st.columns([1, 2], gap="medium")
    with left:
        chosen = choose_image()
        show_image(chosen)
    before = of_class(here.intact, chosen).maps("gradcam")
    explained = int(before.class_ids[0])
    after = of_class(here.changed, chosen, explained).maps("gradcam") if here.lesion else before
    assert before.probabilities is not None  # of a class target
    assert after.probabilities is not None
    shown = likeliest(before.probabilities)[0].tolist()
    shown += [index for index in likeliest(after.probabilities, 2)[0].tolist() if index not in shown]
    with wide:
        middle, right = st.columns(2)
        with middle:
            _predictions(here, "intact", before, explained, shown)
        with right:
            if here.lesion:
                _predictions(here, here.lesion.name, after, explained, shown)
            else:
                st.info("Click on blocks above: what the network then says stands here.")
        _maps(here, chosen, {"intact": before} | ({"with the lesion": after} if here.lesion else {}))


def _predictions(here: Bench, title: str, maps: SaliencyMaps, explained: int, shown: list[int]) -> None:
    assert maps.probabilities is not None  # of a class target
    st.markdown(f"**{widgets.escape(title)}**")
    widgets.chart(
        drawn(figures.top_classes, maps.probabilities[0], class_names(here.intact), explained, shown, maps.outputs),
        f"top of {title}",
    )


def _maps(here: Bench, chosen: Chosen, networks: Mapping[str, SaliencyMaps]) -> None:
    """The maps of each network as tiles, a row each."""
    base = picture_link(here.intact.spec.preprocessing.visible(chosen.picture), SIDE, small=False)
    tiles = []
    for title, maps in networks.items():
        for tap, values in maps.maps.items():
            heat = heat_link(values[0], base, small=False)
            note = f"for {maps.targets[0]}, logit {maps.scores[0]:.3g}"
            tiles.append(Overlay(f"{tap.name}, {title}", note, base.file, heat, f"{tap.name} {title} of {chosen.name}"))
    overlays(tiles, 0.55, "bench", len(here.intact.network.stage_names))
    st.caption(
        "Grad-CAM of every stage for the class that the intact network predicts, above of the intact network and below "
        "of the one with the lesion. Each map is scaled to its own extreme."
    )


def _whole_set(here: Bench, images: ImageSet) -> None:
    part = images.sample(BENCH_IMAGES)
    st.subheader(f"{len(part):,} images of the set")
    before = widgets.awaited(features_work(here.intact, part), f"Reading {len(part):,} images")
    after = before
    if here.lesion:
        after = widgets.awaited(features_work(here.changed, part), f"Reading {len(part):,} images without")
    matched = labels.matched(here.intact.spec, part)
    effect = residual.effect(before, after, matched)
    with st.container(horizontal=True):
        if matched.classes is not None:
            st.metric("Accuracy intact", f"{effect.intact_accuracy:.1%}", width="content")
        if here.lesion:
            if matched.classes is not None:
                lost = 100 * (effect.accuracy - effect.intact_accuracy)
                st.metric("With the lesion", f"{effect.accuracy:.1%}", f"{lost:+.1f} points", width="content")
            st.metric("Same prediction", f"{effect.agreement:.1%}", width="content")
            st.metric("Cosine of features", f"{effect.cosine:.3f}", width="content")
    if not here.lesion:
        return
    stage = here.intact.network.stage_names[-1]
    moved = moved_features(before, after, stage)
    groups, names = before.labels, before.class_names
    if groups is None and before.predictions is not None:
        groups, names = before.predictions.predicted, before.predictions.class_names
    widgets.exhibit(
        "Where the images lie",
        embed_figures.moved(moved, groups, names, before.ids, here.lesion.name),
        f"Features of {stage}: both pictures show them on the two directions in which the intact network's vary most "
        f"({moved.explained:.0%} of the variance), so that what moves has moved. Colours are classes.",
        "principal component analysis",
    )
