"""Maps of one picture, and of the pictures of a gallery."""

from collections.abc import Callable
from typing import Any

import streamlit as st
import torch
from PIL import Image
from torch import Tensor

from features import faithfulness, saliency
from features.datasets import ImageSet
from features.datasets.decoding import pictures
from features.networks import zoo
from features.progress import Task, finish
from features.saliency import METHODS, Speed
from viz.cached.elsewhere import placed
from viz.cached.estimates import queue_of
from viz.jobs import Work

EXPLAIN, RANDOMISED = "explain", "randomised"
TASKS: dict[str, Callable[..., Task[Any]]] = {EXPLAIN: saliency.explain, RANDOMISED: faithfulness.randomised}


@st.cache_resource(max_entries=4, show_spinner=False)
def explainer_of(model_key: str, _model: zoo.Model) -> saliency.Explainer:
    """What explains a network, shared by all visitors."""
    return saliency.Explainer(_model)


@st.cache_resource(max_entries=256, show_spinner="Looking at the image")
def saliency_maps(
    model_key: str,
    image_digest: str,
    target_key: str,
    method: str,
    taps: tuple[saliency.Tap, ...] | None,
    _target: saliency.Target,
    _model: zoo.Model,
    _image: Image.Image,
) -> saliency.SaliencyMaps:
    """The maps of one picture by a method that takes a moment. target_key: what tells the target from others."""
    return finish(saliency.explain(explainer_of(model_key, _model), _pixels(_model, _image), [_target], method, taps))


@st.cache_resource(max_entries=64, show_spinner="Looking at the image")
def saliency_ledger(
    model_key: str, image_digest: str, _target: saliency.ClassTarget, target_key: str, _model: zoo.Model, _image
) -> saliency.Ledger:
    """What the last stage's shortcut and branches give to a class's logit."""
    return saliency.ledger(explainer_of(model_key, _model), _pixels(_model, _image), [_target])


def saliency_work(
    task: str,
    model: zoo.Model,
    digest: str,
    image: Image.Image,
    target: saliency.Target,
    target_key: str,
    method: str,
    durable: bool = True,
) -> Work:
    """What takes long to say of one picture. task: a name of TASKS. durable: whether it may outlive the server."""
    pixels = _pixels(model, image)
    work = Work(
        f"{task} {model.key} {digest} {target_key} {method}",
        lambda: TASKS[task](explainer_of(model.key, model), pixels, [target], method),
        queue_of(model, (image,), passes(model, method)),
    )
    return placed(work, task, {"pixels": pixels, "target": target}, durable, model=model, method=method)


def passes(model: zoo.Model, method: str) -> int:
    """About how many passes through the network a map takes; the slowest methods make one for every channel."""
    return model.spec.architecture.features if METHODS[method].speed is Speed.MINUTES else 100


def framed_picture(model: zoo.Model, image: Image.Image) -> Tensor:
    """A picture as a target of likeness: (C, S, S) uint8."""
    return model.spec.preprocessing.framed(image)


@st.cache_resource(max_entries=64, show_spinner="Looking at the images")
def gallery_maps(model_key: str, images_digest: str, rows: tuple[int, ...], _model: zoo.Model, _images: ImageSet):
    """The last stage's maps of some images of a set for their predicted classes, and what the network saw of them."""
    framed = [_model.spec.preprocessing.framed(picture) for picture in pictures(_images, rows)]
    pixels = torch.stack(framed)  # (N, C, S, S)
    maps = explainer_of(model_key, _model).maps(pixels, [saliency.ClassTarget()] * len(rows), saliency.CAM)
    return maps, pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()  # (N, S, S, 3)


def _pixels(model: zoo.Model, image: Image.Image) -> Tensor:
    return framed_picture(model, image)[None]  # (1, C, S, S)
