"""What the server keeps between reruns, keyed by names and digests, never by arrays."""

import threading
from pathlib import Path

import numpy as np
import streamlit as st
import torch

from features import datasets, embed, extract, residual, saliency, zoo
from features.datasets import ImageSet
from features.extract import FeatureSet
from viz import rasters
from viz.jobs import Job, Jobs

SHEET_TILE = 48
SHEET_COLUMNS = 32
SHEET_LIMIT = 4096
STRIP_LIMIT = 120


@st.cache_resource
def jobs() -> Jobs:
    """The one queue of long tasks of this server."""
    return Jobs()


@st.cache_resource(max_entries=4, show_spinner="Loading the network")
def model(name: str | None, weights: str | None, stamp: float) -> zoo.Model:
    """A loaded network on the best device. stamp: the weights file's time, so that a new file is read again."""
    loaded = zoo.load(name, Path(weights) if weights else None)
    loaded.network.to(device())
    return loaded


@st.cache_resource(max_entries=8, show_spinner="Opening the images")
def images(source: str, limit: int, stamp: float) -> ImageSet:
    """An image set, cut to a balanced sample of `limit`. stamp: the source's time."""
    return datasets.open_images(source).sample(limit)


@st.cache_resource
def device() -> torch.device:
    """The GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@st.cache_data(max_entries=256, show_spinner="Looking at the image")
def saliency_maps(
    model_digest: str, image_digest: str, class_id: int | None, _model: zoo.Model, _image
) -> saliency.SaliencyMaps:
    """The maps of one picture for one class, or for the predicted one."""
    pixels = _model.spec.preprocessing.batch([_image])
    return saliency.maps(_model, pixels, None if class_id is None else [class_id])


@st.cache_resource(max_entries=4, show_spinner=False)
def sheet(images_digest: str, _images: ImageSet) -> str:
    """Small pictures of a set's first images on one sheet, as a data link, for hovering."""
    shown = extract.pictures(_images, range(min(len(_images), SHEET_LIMIT)))
    return rasters.data_uri(rasters.jpeg(rasters.contact_sheet(shown, SHEET_TILE, SHEET_COLUMNS)))


@st.cache_resource(max_entries=8, show_spinner=False)
def strip(images_digest: str, _images: ImageSet) -> tuple[list[int], str]:
    """Rows spread evenly over a set, and their small pictures on one sheet, as a data link."""
    rows = np.unique(np.linspace(0, len(_images) - 1, STRIP_LIMIT).round().astype(int)).tolist()
    shown = extract.pictures(_images, rows)
    return rows, rasters.data_uri(rasters.jpeg(rasters.contact_sheet(shown, SHEET_TILE, SHEET_COLUMNS)))


def features_job(model: zoo.Model, images: ImageSet) -> Job:
    """Pooled features of every stage."""
    return jobs().get(f"features {model.digest} {images.digest}", lambda: extract.features(model, images))


def residual_job(model: zoo.Model, images: ImageSet) -> Job:
    """Branch statistics of every block."""
    return jobs().get(f"residual {model.digest} {images.digest}", lambda: residual.statistics(model, images))


def embed_job(features: FeatureSet, stage: str, method: str, neighbours: int, min_dist: float, seed: int) -> Job:
    """A map of one stage's features."""
    made_of = f"{features.provenance['weights_sha256']} {features.provenance['images_digest']}"
    return jobs().get(
        f"embed {made_of} {stage} {method} {neighbours} {min_dist} {seed}",
        lambda: embed.project(
            features.stages[stage], method, neighbours, min_dist, seed, {**features.provenance, "stage": stage}
        ),
    )


@st.cache_resource
def warm_up() -> threading.Thread:
    """Compile UMAP in the background, once per server, so that the first map does not wait for it."""
    thread = threading.Thread(target=embed.warm_up, daemon=True, name="umap warm-up")
    thread.start()
    return thread
