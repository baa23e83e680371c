"""What networks compute for the pages, kept between reruns. Importing this takes PyTorch's seconds."""

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
import torch
from PIL import Image
from torch import Tensor

from features import devices, embed, extract, faithfulness, rasters, residual, saliency
from features.datasets import ImageSet
from features.datasets.decoding import pictures
from features.engine import Reading
from features.networks import catalogue, zoo
from features.progress import Progress, Task
from features.store import FeatureSet
from viz.cache import downloads, jobs, previews
from viz.jobs import Job

SHEET_COLUMNS = 100  # so that 10,000 pictures, the largest set, make a square sheet
STRIP_LIMIT = 120
LARGE_TILE, SMALL_TILE = 48, 32
MANY = 3000
PREVIEW_ROWS, PREVIEW_VALUES = 50, 64


def fetch_job(name: str) -> Job:
    """The weights of a network that has none on this machine yet."""
    return downloads().get(f"fetch {name}", lambda: zoo.fetch(catalogue.spec(name)))


@st.cache_resource(max_entries=4, show_spinner="Loading the network")
def model(name: str | None, weights: str | None, stamp: float) -> zoo.Model:
    """A loaded network on the best device. stamp: the weights file's time, so that a new file is read again."""
    loaded = zoo.load(name, Path(weights) if weights else None)
    loaded.network.to(devices.best_device())
    return loaded


@st.cache_resource(max_entries=4, show_spinner=False)
def explainer(model_key: str, _model: zoo.Model) -> saliency.Explainer:
    """What explains a network, shared by all visitors."""
    return saliency.Explainer(_model)


@st.cache_data(max_entries=256, show_spinner="Looking at the image")
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
    return explainer(model_key, _model).maps(_pixels(_model, _image), [_target], method, taps)


@st.cache_data(max_entries=64, show_spinner="Looking at the image")
def saliency_ledger(
    model_key: str, image_digest: str, _target: saliency.ClassTarget, target_key: str, _model: zoo.Model, _image
) -> saliency.Ledger:
    """What the last stage's shortcut and branches give to a class's logit."""
    return saliency.ledger(explainer(model_key, _model), _pixels(_model, _image), [_target])


def saliency_job(
    ask: Callable[..., Task[Any]],
    model: zoo.Model,
    digest: str,
    image: Image.Image,
    target: saliency.Target,
    target_key: str,
    method: str,
) -> Job:
    """What takes long to ask of one picture. ask: saliency.explain or faithfulness.randomised."""
    return jobs().get(
        f"{ask.__name__} {model.key} {digest} {target_key} {method}",
        lambda: ask(explainer(model.key, model), _pixels(model, image), [target], method),
    )


def framed(model: zoo.Model, image: Image.Image) -> Tensor:
    """A picture as a target of likeness: (C, S, S) uint8."""
    return model.spec.preprocessing.framed(image)


def faithfulness_job(model: zoo.Model, digest: str, image: Image.Image, maps: Sequence[saliency.SaliencyMaps]) -> Job:
    """How far to trust maps of one picture."""
    made_of = [
        (found.method, found.class_ids.tolist(), found.against_ids.tolist(), tuple(found.maps)) for found in maps
    ]
    return jobs().get(
        f"faithfulness {model.key} {digest} {made_of}",
        lambda: faithfulness.judge_all(explainer(model.key, model), _pixels(model, image), maps),
    )


@st.cache_data(max_entries=64, show_spinner="Looking at the images")
def gallery_maps(model_key: str, images_digest: str, rows: tuple[int, ...], _model: zoo.Model, _images: ImageSet):
    """The last stage's maps of some images of a set for their predicted classes, and what the network saw of them."""
    framed = [_model.spec.preprocessing.framed(picture) for picture in pictures(_images, rows)]
    pixels = torch.stack(framed)  # (N, C, S, S)
    found = explainer(model_key, _model).maps(pixels, [saliency.ClassTarget()] * len(rows), "cam")
    return found, pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()  # (N, S, S, 3)


def _pixels(model: zoo.Model, image: Image.Image) -> Tensor:
    return framed(model, image)[None]  # (1, C, S, S)


def sheet_job(images: ImageSet, rows: tuple[int, ...] | None = None) -> Job:
    """Small pictures of a set, or of some of its rows, on one sheet of SHEET_COLUMNS, as a data link."""
    chosen = tuple(range(len(images))) if rows is None else rows
    part = "all" if rows is None else f"{len(rows)} spread"
    return previews().get(f"sheet {images.digest} {part}", lambda: _sheet(images, chosen))


def strip_rows(n_images: int) -> tuple[int, ...]:
    """At most STRIP_LIMIT rows, spread evenly over a set."""
    return tuple(np.unique(np.linspace(0, n_images - 1, STRIP_LIMIT).round().astype(int)).tolist())


def _sheet(images: ImageSet, rows: tuple[int, ...]) -> Task[str]:
    tile = SMALL_TILE if len(rows) > MANY else LARGE_TILE
    squares = []
    for done, row in enumerate(rows, start=1):
        squares.append(rasters.square(pictures(images, [row])[0], tile))
        if done % 50 == 0:
            yield Progress(done, len(rows), "picture")
    return rasters.data_uri(rasters.jpeg(rasters.contact_sheet(squares, tile, SHEET_COLUMNS)))


def features_job(model: zoo.Model, images: ImageSet) -> Job:
    """Pooled features of every stage."""
    return jobs().get(f"features {model.key} {images.digest}", lambda: extract.features(model, images))


def residual_job(model: zoo.Model, images: ImageSet) -> Job:
    """Branch statistics of every block."""
    return jobs().get(f"residual {model.key} {images.digest}", lambda: residual.statistics(model, images))


def sweep_job(model: zoo.Model, images: ImageSet, kind: str) -> Job:
    """What all lesions of a kind do to a network."""
    return jobs().get(
        f"sweep {model.key} {images.digest} {kind}",
        lambda: residual.sweep(model, images, residual.lesions_of(model.network, kind)),
    )


def paths_job(model: zoo.Model, images: ImageSet) -> Job:
    """The gradient along paths of each length."""
    return jobs().get(f"paths {model.key} {images.digest}", lambda: residual.paths(model, images))


def moved(before: FeatureSet, after: FeatureSet, stage: str) -> embed.Moved:
    """Where a stage's features lie and where they go."""
    return embed.moved(before.stages[stage], after.stages[stage])


def embed_job(
    model: zoo.Model, features: FeatureSet, stage: str, method: str, neighbours: int, min_dist: float, seed: int
) -> Job:
    """A map of one stage's features."""
    made_of = f"{model.key} {features.provenance['images_digest']}"
    return jobs().get(
        f"embed {made_of} {stage} {method} {neighbours} {min_dist} {seed}",
        lambda: embed.project(
            features.stages[stage], method, neighbours, min_dist, seed, {**features.provenance, "stage": stage}
        ),
    )


def extract_job(model: zoo.Model, images: ImageSet, reading: Reading, folder: Path, size: int, format: str) -> Job:
    """Features written to a folder."""
    return jobs().get(
        f"extract {model.key} {images.digest} {reading} {folder} {size} {format}",
        lambda: extract.to_folder(model, images, reading, folder, size, format),
    )


@st.cache_data(max_entries=16, show_spinner=False)
def preview(folder: str, stamp: float) -> pd.DataFrame:
    """The first rows of a folder of features, each stage as a list of its first values. stamp: the manifest's time."""
    found = FeatureSet.open(folder)
    rows = range(min(PREVIEW_ROWS, len(found)))
    table: dict[str, list] = {"id": list(found.ids[: len(rows)])}
    if found.labels is not None:
        table["label"] = [found.class_names[found.labels[row]] for row in rows]
    if found.predictions is not None and found.confidences is not None:
        table["prediction"] = [found.prediction_names[found.predictions[row]] for row in rows]
        table["confidence"] = found.confidences[: len(rows)].tolist()
    for name in found.stages:
        values = found.read(name, 0, len(rows)).reshape(len(rows), -1)
        table[name] = values[:, :PREVIEW_VALUES].astype(float).tolist()
    return pd.DataFrame(table)


def zipped(folder: Path) -> bytes:
    """A folder's files in one archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            if not path.name.startswith("."):
                archive.write(path, f"features/{path.name}")
    return buffer.getvalue()
