"""What networks compute for the pages, kept between reruns. Importing this takes PyTorch's seconds."""

from pathlib import Path

import numpy as np
import streamlit as st

from features import catalogue, embed, extract, network, residual, saliency, zoo
from features.datasets import ImageSet
from features.progress import Progress, Task
from features.store import FeatureSet
from viz import rasters
from viz.cache import downloads, jobs, previews
from viz.jobs import Job

SHEET_COLUMNS = 100  # so that 10,000 pictures, the largest set, make a square sheet
STRIP_LIMIT = 120
LARGE_TILE, SMALL_TILE = 48, 32
MANY = 3000


def fetch_job(name: str) -> Job:
    """The weights of a network that has none on this machine yet."""
    return downloads().get(f"fetch {name}", lambda: zoo.fetch(catalogue.spec(name)))


@st.cache_resource(max_entries=4, show_spinner="Loading the network")
def model(name: str | None, weights: str | None, stamp: float) -> zoo.Model:
    """A loaded network on the best device. stamp: the weights file's time, so that a new file is read again."""
    loaded = zoo.load(name, Path(weights) if weights else None)
    loaded.network.to(network.best_device())
    return loaded


@st.cache_data(max_entries=256, show_spinner="Looking at the image")
def saliency_maps(
    model_key: str, image_digest: str, class_id: int | None, _model: zoo.Model, _image
) -> saliency.SaliencyMaps:
    """The maps of one picture for one class, or for the predicted one."""
    pixels = _model.spec.preprocessing.batch([_image])
    return saliency.maps(_model, pixels, None if class_id is None else [class_id])


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
        squares.append(rasters.square(extract.pictures(images, [row])[0], tile))
        if done % 50 == 0:
            yield Progress(done, len(rows), "picture")
    return rasters.data_uri(rasters.jpeg(rasters.contact_sheet(squares, tile, SHEET_COLUMNS)))


def features_job(model: zoo.Model, images: ImageSet) -> Job:
    """Pooled features of every stage."""
    return jobs().get(f"features {model.key} {images.digest}", lambda: extract.features(model, images))


def residual_job(model: zoo.Model, images: ImageSet) -> Job:
    """Branch statistics of every block."""
    return jobs().get(f"residual {model.key} {images.digest}", lambda: residual.statistics(model, images))


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
