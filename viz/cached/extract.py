"""Features, in memory and in folders."""

import io
import zipfile
from pathlib import Path

import pandas as pd
import streamlit as st

from features import extract
from features.datasets import ImageSet
from features.engine import Plan
from features.networks import zoo
from features.store import FeatureSet
from viz.cached.server import analysis_queue
from viz.jobs import Job

PREVIEW_ROWS, PREVIEW_VALUES = 50, 64


def features_job(model: zoo.Model, images: ImageSet) -> Job:
    """Pooled features of every stage."""
    return analysis_queue().get(f"features {model.key} {images.digest}", lambda: extract.features(model, images))


def extract_job(model: zoo.Model, images: ImageSet, plan: Plan, folder: Path, size: int, format: str) -> Job:
    """Features written to a folder."""
    return analysis_queue().get(
        f"extract {model.key} {images.digest} {plan} {folder} {size} {format}",
        lambda: extract.to_folder(model, images, plan, folder, size, format),
    )


@st.cache_data(max_entries=16, show_spinner=False)
def preview_rows(folder: str, stamp: float) -> pd.DataFrame:
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
