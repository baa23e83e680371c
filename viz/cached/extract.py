"""Features, in memory and in folders."""

import io
import zipfile
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import streamlit as st

from features import extract
from features.datasets import ImageSet
from features.engine import Plan
from features.networks import zoo
from features.store import names_of, open_features, read_manifest
from viz.cached.elsewhere import placed
from viz.cached.estimates import queue_of
from viz.jobs import Work

PREVIEW_ROWS, PREVIEW_VALUES = 50, 64


def features_work(model: zoo.Model, images: ImageSet) -> Work:
    """Pooled features of every stage."""
    key = f"features {model.key} {images.digest}"
    work = Work(key, lambda: extract.features(model, images), queue_of(model, images))
    return placed(work, "features", model=model, images=images)


def extract_work(model: zoo.Model, images: ImageSet, plan: Plan, folder: Path, size: int, format: str) -> Work:
    """Features written to a folder. Whoever asked for the files wants them even with the tab closed."""
    work = Work(
        f"extract {model.key} {images.digest} {plan} {folder} {size} {format}",
        lambda: extract.to_folder(model, images, plan, folder, size, format),
        queue_of(model, images),
        lasting=True,
        resumes=True,
    )
    how = {name: value for name, value in asdict(plan).items() if name != "why"}
    return placed(work, "extract", model=model, images=images, how=how, folder=folder, size=size, format=format)


@st.cache_data(max_entries=16, show_spinner=False)
def preview_rows(folder: str, stamp: float) -> pd.DataFrame:
    """The first rows of a folder of features, each stage as a list of its first values. stamp: the manifest's time."""
    features = open_features(folder)
    table = features.table(slice(PREVIEW_ROWS)).dropna(axis="columns").rename(columns={"pred": "prediction"})
    for name in features.stages:
        values = features.read(name, 0, len(table)).reshape(len(table), -1)
        table[name] = values[:, :PREVIEW_VALUES].astype(float).tolist()
    return table


def zipped(folder: Path) -> bytes:
    """The files of a folder of features in one archive; what a person put beside them is not among them."""
    buffer = io.BytesIO()
    own = names_of(read_manifest(folder))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            if path.name in own:
                archive.write(path, f"features/{path.name}")
    return buffer.getvalue()
