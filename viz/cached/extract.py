"""Features, in memory and in folders."""

import io
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from features import extract
from features.datasets import ImageSet
from features.engine import Plan
from features.networks import zoo
from features.store import names_of, open_features, read_manifest
from viz.cached.estimates import queue_of
from viz.cached.server import ask, uploads
from viz.jobs import LONG, Job, Work, in_process

PREVIEW_ROWS, PREVIEW_VALUES = 50, 64


def features_job(model: zoo.Model, images: ImageSet) -> Job:
    """Pooled features of every stage."""
    return ask(
        Work(
            f"features {model.key} {images.digest}",
            lambda: extract.features(model, images),
            queue_of(model, images),
        )
    )


@dataclass(frozen=True)
class Origins:
    """What a process of its own is told of a network and images: from where to load them.

    network: as `naming.parse` reads it; weights: its file, if it has one of its own. source, limit: as
    `datasets.open_images` takes it, and how many of them.
    """

    network: str
    weights: Path | None
    source: str
    limit: int

    @property
    def durable(self) -> bool:
        """Whether they are there when the server is not: uploads go with it."""
        paths = [Path(text) for text in (self.weights, self.source) if text is not None]
        return not any(path.is_relative_to(uploads()) for path in paths)


def extract_work(
    model: zoo.Model, images: ImageSet, origins: Origins, plan: Plan, folder: Path, size: int, format: str
) -> Work:
    """Features written to a folder: by a process of its own if that takes long, and here if it takes less time than a
    process to begin. Whoever asked for the files wants them even with the tab closed.
    """
    key = f"extract {model.key} {images.digest} {plan} {folder} {size} {format}"
    kind = queue_of(model, images)
    if kind != LONG or model.variant:  # which another process could not load
        return Work(key, lambda: extract.to_folder(model, images, plan, folder, size, format), kind, lasting=True)
    arguments = {
        "network": {"name": origins.network, "key": model.key},
        "images": {"source": origins.source, "limit": origins.limit, "digest": images.digest},
        "how": {name: value for name, value in asdict(plan).items() if name != "why"},
        "folder": str(folder),
        "size": size,
        "format": format,
    }
    return in_process(key, "extract", arguments, origins.durable and not folder.is_relative_to(uploads()))


@st.cache_data(max_entries=16, show_spinner=False)
def preview_rows(folder: str, stamp: float) -> pd.DataFrame:
    """The first rows of a folder of features, each stage as a list of its first values. stamp: the manifest's time."""
    found = open_features(folder)
    table = found.table(slice(PREVIEW_ROWS)).dropna(axis="columns").rename(columns={"pred": "prediction"})
    for name in found.stages:
        values = found.read(name, 0, len(table)).reshape(len(table), -1)
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
