"""Maps of features, and what is known of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from features import embed, store
from features.claim import MANIFEST
from features.extract import of_picture
from features.networks.zoo import Model
from features.store import FeatureSet
from viz.cached.elsewhere import placed
from viz.jobs import Work, kind_of

Places = dict[str, embed.Placed]
SECONDS_A_POINT = 0.002  # of UMAP's layout on two cores; the order of magnitude is enough to choose a queue
SECONDS_A_PROBE = 0.001  # an image, of a linear probe


def moved_features(before: FeatureSet, after: FeatureSet, stage: str) -> embed.Moved:
    """Where a stage's features lie and where they go."""
    return embed.moved(before.stages[stage], after.stages[stage])


@st.cache_resource(max_entries=2, show_spinner="Opening the features")
def opened_features(folder: str, stamp: float) -> FeatureSet:
    """The features of a folder, each stage read once. stamp: what changes when the folder does. Raises StoreError."""
    path = Path(folder)
    features = store.open_features(path) if (path / MANIFEST).is_file() else store.open_vectors(path)
    return replace(features, stages=ReadOnce(features.stages))


class ReadOnce(Mapping[str, np.ndarray]):
    """Stages, of which each that was asked for stays in memory."""

    def __init__(self, stages: Mapping[str, np.ndarray]) -> None:
        self._stages, self._read = stages, dict[str, np.ndarray]()

    def __getitem__(self, stage: str) -> np.ndarray:
        if stage not in self._read:
            self._read[stage] = np.asarray(self._stages[stage])
        return self._read[stage]

    def __contains__(self, stage: object) -> bool:
        return stage in self._stages

    def __iter__(self) -> Iterator[str]:
        return iter(self._stages)

    def __len__(self) -> int:
        return len(self._stages)


def maps_work(
    made_of: str, features: FeatureSet, stages: Sequence[str], settings: embed.MapSettings, durable: bool = True
) -> Work:
    """Maps of some stages, laid on each other.

    made_of: what tells the features from all others. durable: whether these may outlive the server.
    """
    values, provenance = {name: features.stages[name] for name in stages}, features.provenance
    linear = embed.METHODS[settings.method].linear
    work = Work(
        f"maps {made_of} {' '.join(stages)} {settings}",
        lambda: embed.stage_maps(values, settings, provenance),
        kind_of(0 if linear else SECONDS_A_POINT * len(features) * len(stages)),
    )
    attached = {"stages": values, "provenance": provenance}
    return placed(work, "maps", attached, durable, **settings.as_dict())


def reseeded_work(made_of: str, features: FeatureSet, maps: embed.StageMaps, durable: bool = True) -> Work:
    """How far the maps are from those of another seed."""
    values = {name: features.stages[name] for name in maps}
    settings = next(iter(maps.values())).settings
    linear = embed.METHODS[settings.method].linear
    work = Work(
        f"reseeded {made_of} {' '.join(maps)} {settings}",
        lambda: embed.reseeded(values, maps),
        kind_of(0 if linear else SECONDS_A_POINT * len(features) * len(maps)),
    )
    return placed(work, "reseeded", {"stages": values, "maps": maps}, durable)


def separation_work(
    made_of: str, features: FeatureSet, maps: embed.StageMaps, stage: str, durable: bool = True
) -> Work:
    """How a stage's features tell the labels apart, which the images must have one each of."""
    values, graph, labels = features.stages[stage], maps[stage].graph, features.labels
    assert labels is not None  # the page asks for it where there are some
    work = Work(
        f"separation {made_of} {stage} {maps[stage].settings.neighbours}",
        lambda: embed.separation(values, graph, labels, features.class_names),
        kind_of(SECONDS_A_PROBE * min(len(features), 5000)),
    )
    attached = {"features": values, "graph": graph, "labels": labels}
    return placed(work, "separation", attached, durable, class_names=list(features.class_names))


@st.cache_resource(max_entries=32, show_spinner="Looking at the image")
def placed_picture(
    made_of: str, picture_digest: str, settings: embed.MapSettings, stages: tuple[str, ...], _model: Model,
    _features: FeatureSet, _maps: embed.StageMaps, _picture: Image.Image,
) -> Places:  # fmt: skip
    """Where a picture lies on the map of each stage, and what is near it in the stage's features."""
    rows = of_picture(_model, _picture)
    return {
        stage: embed.Placement(_features.stages[stage], _maps[stage].points, settings).place(rows[stage])
        for stage in stages
    }
