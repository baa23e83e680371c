"""What the Embedding page is about: a network, images, and what is known of each of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from features.datasets import ImageSet, labels
from features.networks import zoo
from features.store import FeatureSet, images_of
from viz.cached.pictures import sheet_rows, sheet_work
from viz.jobs import Work
from viz.pages.embed.own_table import NO_TABLE, OwnTable


@dataclass(frozen=True, eq=False)
class Shown:
    """The images, their features, the network's classes for their labels, and the network.

    model: None for features from a folder. durable: whether what is made of them may outlive the server. own: what the
    visitor's own table says of the images.
    """

    model: zoo.Model | None
    images: ImageSet
    features: FeatureSet
    matched: labels.Matched
    durable: bool = True
    own: OwnTable = NO_TABLE

    @staticmethod
    def from_network(model: zoo.Model, images: ImageSet, features: FeatureSet, durable: bool, own: OwnTable) -> "Shown":
        """Features that a network has just made of images."""
        return Shown(model, images, features, labels.matched(model.spec, images), durable, own)

    @staticmethod
    def from_folder(features: FeatureSet) -> "Shown":
        """Features that were made before, here or by another program. Labels are classes of the same name."""
        said, labelled = features.predictions, features.label_names()
        names = features.class_names if said is None else said.class_names
        numbers = {name: number for number, name in enumerate(names)}
        classes = None
        if labelled is not None and features.label_sets is None and set(labelled) <= set(numbers):
            classes = np.array([numbers[name] for name in labelled], np.int64)
        how = labels.NOT_AT_ALL if classes is None else labels.BY_NAME
        return Shown(None, images_of(features), features, labels.Matched(classes, how, names))

    @cached_property
    def made_of(self) -> str:
        """What tells these features from all others."""
        return f"{'' if self.model is None else self.model.key} {self.images.digest}"

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """What else is known of each point: name -> (N,)."""
        return {**self.features.columns, **{name: each[self.points] for name, each in self.own.columns.items()}}

    @property
    def points(self) -> np.ndarray:
        """(N,) the number of each point's image in the set."""
        return self.features.rows if self.model is not None else np.arange(len(self.features))

    @cached_property
    def truth(self) -> np.ndarray | None:
        """(N,) the network's class of every image, where labels can be matched with classes and each has one."""
        return self.matched.at(self.points)

    @cached_property
    def correct(self) -> np.ndarray | None:
        """(N,) whether each prediction is right."""
        said, truth = self.features.predictions, self.matched.truth(self.points)
        return None if truth is None or said is None else said.correct(truth)

    @property
    def same_names(self) -> bool:
        """Whether the labels are the network's classes, not only taken for them."""
        return not self.matched.guessed

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per image: id, label, pred, confidence."""
        return self.features.table()

    def label(self, row: int) -> str | None:
        return self.table["label"].iat[row]

    def prediction(self, row: int) -> str | None:
        return self.table["pred"].iat[row]

    def caption(self, row: int) -> str:
        """What a small picture of an image is called: its label, what it was taken for instead, and its tags."""
        label, prediction = self.label(row), self.prediction(row)
        tags = self.columns["tags"][row] if "tags" in self.columns else None
        noted = f" [{tags}]" if tags else ""
        if label and prediction and self.correct is not None and not self.correct[row]:
            return f"{label} → {prediction}{noted}"
        return f"{label or prediction or self.features.ids[row]}{noted}"

    @staticmethod
    def lines_of(features: FeatureSet) -> list[str]:
        """(N,) what stands beside the pointer at each image, line by line."""
        table = features.table()
        rows = zip(table["id"], table["label"], table["pred"], table["confidence"], strict=True)
        return [_lines(*row) for row in rows]


def _lines(name: str, label: str | None, prediction: str | None, confidence: float | None) -> str:
    lines = [name]
    lines += [f"label: {label}"] if label else []
    if prediction and confidence is not None:
        lines.append(f"predicted: {prediction} ({confidence:.0%})")
    return "\n".join(line.replace("\n", " ") for line in lines)


def sheet_of(shown: Shown) -> Work:
    """The sheet of small pictures of its images: of all, or of as many as one holds."""
    return sheet_work(shown.images, sheet_rows(len(shown.images)))


def on_sheet(shown: Shown) -> np.ndarray:
    """(N,) the number of each point's picture on that sheet, -1 for one that is not there."""
    rows = sheet_rows(len(shown.images))
    if rows is None:
        return shown.points
    numbers = np.full(len(shown.images), -1)
    numbers[list(rows)] = np.arange(len(rows))
    return numbers[shown.points]
