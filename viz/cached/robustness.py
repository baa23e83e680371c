"""How far networks stay right on worse pictures, and one picture made worse."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st
from PIL import Image

from features import residual, robustness
from features.datasets import ImageSet
from features.networks.zoo import Model
from features.progress import Task, finish
from features.residual import BlockStatistics
from features.robustness import NORMS, STRENGTHS, Attacked, Robustness
from viz.cached.estimates import seconds
from viz.jobs import LONG, Work, kind_of

STEPS = 10  # of an attack on the page
BACKWARD = 3  # passes forward that a step takes with its gradient


def robustness_work(models: Sequence[Model], images: ImageSet, families: tuple[str, ...], way: str | None) -> Work:
    """Corruptions of all images for several networks. way: how labels are matched with the first one's classes."""

    def one(model: Model) -> Task[Robustness]:
        return robustness.robustness(model, images, families, way if model is models[0] else None)

    return _of_each(f"robustness {families}", one, models, images, way, 1 + STRENGTHS * len(families))


def attack_work(models: Sequence[Model], images: ImageSet, norm: str, way: str | None) -> Work:
    """An attack at the usual radii on several networks. way: as of `robustness_work`."""

    def one(model: Model) -> Task[Attacked]:
        return robustness.attacked(model, images, norm, steps=STEPS, way=way if model is models[0] else None)

    return _of_each(f"attack {norm}", one, models, images, way, len(NORMS[norm].epsilons) * STEPS * BACKWARD)


@st.cache_resource(max_entries=4, show_spinner=False)
def framed_model(model_key: str, _model: Model) -> Model:
    """The same network for pictures that are what it sees already."""
    return robustness.of_framed(_model)


@st.cache_resource(max_entries=256, show_spinner=False)
def worse_picture(
    model_key: str, image_digest: str, family: str, level: int, name: str, _model: Model, _image: Image.Image
) -> Image.Image:
    """What a network sees of a picture, corrupted."""
    return robustness.worsened(_model, _image, family, level, name)


@st.cache_resource(max_entries=256, show_spinner="Looking at the branches")
def branch_statistics(model_key: str, image_digest: str, _model: Model, _image: Image.Image) -> BlockStatistics:
    """What every branch adds to its shortcut, of one picture."""
    one = ImageSet("picture", ("picture",), None, (), image_digest, lambda _: _image)
    return finish(residual.statistics(_model, one))


def _of_each(
    what: str, one: Callable[[Model], Task[Any]], models: Sequence[Model], images: ImageSet, way: str | None,
    passes: float,
) -> Work:  # fmt: skip
    """A tuple of what comes of each network."""

    def run() -> Task[tuple[Any, ...]]:
        made = []
        for model in models:
            made.append((yield from one(model)))
        return tuple(made)

    key = f"{what} {' '.join(model.key for model in models)} {images.digest} {way}"
    work = Work(key, run, kind_of(sum(seconds(model, images, passes) for model in models)))
    return replace(work, lasting=True) if work.kind == LONG else work
