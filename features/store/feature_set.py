"""Features and predictions of images."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from features import files, predictions
from features.datasets import ImageSet, Rejected, file_of, open_uri
from features.datasets.image_set import joined
from features.errors import FeatureError, ImageError
from features.predictions import Predictions, named
from features.results import Provenance
from features.store.manifest import Manifest

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features and predictions of N images.

    stages: name -> (N, D) float32, or (N, C, H, W) float16 where the maps were not pooled; a set that was opened
        from disk reads a stage whenever it is asked for, and a part of one with `read`.
    rows: (N,) int64 positions in the image set, ascending; ids, uris: their names and where they lie.
    labels: (N,) int64 into class_names, or None. label_sets: (N, K) bool of those where an image may have any number.
    columns: what else a list said of the images, as of `ImageSet.columns`.
    predictions: what the network said, None for one without a head.
    rejected: images that could not be read. aside: files of their source that were no part of the set.
    provenance: what made the features.
    """

    stages: Mapping[str, np.ndarray]
    rows: np.ndarray
    ids: tuple[str, ...]
    uris: tuple[str, ...]
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    predictions: Predictions | None
    rejected: tuple[Rejected, ...]
    provenance: Provenance
    aside: tuple[Rejected, ...] = ()
    label_sets: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, stage: str, start: int, stop: int) -> np.ndarray:
        """Rows [start, stop) of a stage, as a slice takes them; of a set on disk no more than these are read.

        Raises FeatureError for a stage that is not there.
        """
        if stage not in self.stages:
            raise FeatureError(f"There is no stage {stage!r} here, only {', '.join(self.stages)}.")
        if isinstance(self.stages, Stages):
            return self.stages.read(stage, start, stop)
        return self.stages[stage][start:stop]

    def label_names(self, rows: slice = slice(None)) -> np.ndarray | None:
        """(N,) each image's label, several with ';' between them, as objects; None for unlabelled images."""
        if self.label_sets is not None:
            names = [joined(has, self.class_names) for has in self.label_sets[rows]]
            return np.array([*names, ""], dtype=object)[:-1]
        return None if self.labels is None else named(self.labels[rows], self.class_names)

    def table(self, rows: slice = slice(None), truth: np.ndarray | None = None, top: int = 1) -> "pd.DataFrame":
        """One row per image, or per image of a range, as of `predictions.table`. truth: of all images."""
        labels = self.label_names(rows)
        said = None if self.predictions is None else self.predictions.take(rows)
        return predictions.table(self.ids[rows], labels, said, None if truth is None else truth[rows], top)


class Stages(Mapping[str, np.ndarray], ABC):
    """The stages of a folder, each read when it is asked for."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    def read(self, stage: str, start: int, stop: int) -> np.ndarray:
        """Rows [start, stop) of a stage, as a slice takes them: (N, D) or (N, C, H, W)."""
        start, stop, _ = slice(start, stop).indices(self.manifest.n_rows or 0)
        if start >= stop:
            return np.empty((0, *self.manifest.shapes[stage]), self.manifest.dtype)
        return self._read(stage, start, stop)

    @abstractmethod
    def _read(self, stage: str, start: int, stop: int) -> np.ndarray:
        """As `read`, of rows that are there."""

    def __contains__(self, stage: object) -> bool:
        return stage in self.manifest.shapes

    def __getitem__(self, stage: str) -> np.ndarray:
        if stage not in self.manifest.shapes:
            raise KeyError(stage)
        return self.read(stage, 0, self.manifest.n_rows or 0)

    def __iter__(self) -> Iterator[str]:
        return iter(self.manifest.shapes)

    def __len__(self) -> int:
        return len(self.manifest.shapes)


def images_of(features: FeatureSet) -> ImageSet:
    """The images of features, opened where they lay when these were made, as a set of their own.

    Raises nothing; an image that is not there any more, lies on another machine or outside the folders that may be read
    raises ImageError when it is opened.
    """
    digest = hashlib.sha256(repr((features.provenance.as_dict(), len(features))).encode())
    for name in features.ids:
        digest.update(f"{name}\n".encode("utf-8", "surrogatepass"))
    return ImageSet(
        name=features.provenance.images or "features",
        ids=features.ids,
        labels=features.labels,
        class_names=features.class_names,
        digest=digest.hexdigest(),
        opener=lambda row: _opened(features.uris[row]),
        locate=lambda row: features.uris[row],
        label_sets=features.label_sets,
        columns=features.columns,
    )


def _opened(uri: str) -> Image.Image:
    place = file_of(uri)
    if not place or "://" in place:  # what a file of features says must not have a server fetch addresses
        raise ImageError(f"{uri or 'This image'} does not lie on this machine.")
    try:
        inside = files.may_be_read(str(Path(place).resolve()))
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, too long, a NUL
        raise ImageError(f"{place} cannot be followed: {error}.") from error
    if not inside:
        raise ImageError(f"{place} lies outside the folders that may be read.")
    return open_uri(uri)
