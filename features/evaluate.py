"""Counts how often a network is right on a labelled image set, and where it is wrong."""

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from features import predictions
from features.datasets import ImageSet, Rejected
from features.datasets.decoding import over
from features.datasets.labels import Matched, match_labels
from features.networks.card import Outputs
from features.networks.zoo import Model
from features.predictions import Predictions
from features.progress import Task
from features.results import Provenance, finite, provenance

if TYPE_CHECKING:
    import pandas as pd


OF_IMAGES = ("ids", "labels", "truth", "predictions")  # what an Evaluation has a row of for every image


@dataclass(frozen=True)
class ClassScore:
    """One class: shares in [0, 1]; support is the number of its images.

    Precision is 0 where nothing was predicted as it. average_precision: the area below precision over recall of all
    thresholds, of a label among many; None where one class holds.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    average_precision: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a network does on N labelled images.

    accuracy, top5: shares of images whose class is the first, or among the first five. Of a network of many labels, an
    image's class is the one label that it has, and accuracy is the share of images of which every label is right.
    Of images of any number of labels a network that predicts one class is right if it is one of them.
    macro_*: unweighted means over the classes that occur in the set. per_class: those classes.
    confusion: (K, K) int64, rows are true classes, columns predicted ones; class_names: the network's K.
    labels_matched: with the network's classes, as `labels.Matched.how`. labels_guessed: what speaks against it, or ''.
    ids, labels: (N,) of the images, and their labels in the set's words. truth: (N,) int64, these as the network's
    classes; (N, K) bool of images of any number of labels.
    """

    accuracy: float
    top5: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    per_class: tuple[ClassScore, ...]
    confusion: np.ndarray
    class_names: tuple[str, ...]
    n_images: int
    labels_matched: str
    labels_guessed: str
    rejected: tuple[Rejected, ...]
    provenance: Provenance
    ids: tuple[str, ...]
    labels: np.ndarray
    truth: np.ndarray
    predictions: Predictions

    @property
    def mean_average_precision(self) -> float | None:
        """Over the labels that occur; None where one class holds."""
        values = [score.average_precision for score in self.per_class if score.average_precision is not None]
        return sum(values) / len(values) if values else None

    def as_dict(self) -> dict[str, Any]:
        """All but the rows of single images, as JSON can hold it."""
        content = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name not in OF_IMAGES}
        if self.mean_average_precision is not None:
            content["mean_average_precision"] = self.mean_average_precision
        return content | {
            "per_class": [score.as_dict() for score in self.per_class],
            "rejected": [asdict(entry) for entry in self.rejected],
            "confusion": self.confusion.tolist(),
            "provenance": self.provenance.as_dict(),
        }

    def table(self, top: int = 1) -> "pd.DataFrame":
        """One row per image, as of `predictions.table`, with `correct`."""
        return predictions.table(self.ids, self.labels, self.predictions, self.truth, top)


def evaluate(model: Model, images: ImageSet) -> Task[Evaluation]:
    """Predict every image in fp32 and compare with its label.

    Raises DatasetError if the images have no labels or the labels cannot be matched with the network's
    classes, FeatureError if it puts out NaN.
    """
    model.need_classifier()
    matched = match_labels(model.spec, images)
    parts: list[Predictions] = []
    of_labels: list[np.ndarray] = []  # (N, K) scores by which images are ranked, label by label

    def work(pixels: Tensor) -> None:
        with torch.inference_mode():
            logits = finite(model.network(pixels), model)  # (N, K)
        parts.append(Predictions.of(logits.cpu().numpy(), matched.names, model.spec.outputs))
        if model.spec.outputs is Outputs.MULTILABEL:
            of_labels.append(logits.cpu().numpy())
        elif matched.sets is not None:  # how likely a class is also depends on the others
            of_labels.append(predictions.probabilities(logits.cpu().numpy(), model.spec.outputs))

    rows, rejected = yield from over(model, images, work)
    scores = np.concatenate(of_labels) if of_labels else None
    return _score(model, images, matched, Predictions.joined(parts), scores, rows, rejected)


def _score(
    model: Model,
    images: ImageSet,
    matched: Matched,
    said: Predictions,
    scores: np.ndarray | None,
    rows: np.ndarray,
    rejected: tuple[Rejected, ...],
) -> Evaluation:
    truth = matched.truth(rows)
    given = images.label_names(rows)
    assert truth is not None  # match_labels found them
    assert given is not None
    if scores is None:
        per_class, confusion = _by_class(matched.names, said.predicted, truth)
        right = said.correct(truth)
    else:
        wanted = truth if truth.ndim == 2 else _labels(truth, len(matched.names))  # (N, K)
        assigned = said.assigned if said.assigned is not None else _labels(said.predicted, len(matched.names))
        per_class, confusion = _by_label(matched.names, assigned, scores, wanted)
        right = said.correct(wanted)

    def mean(score: str) -> float:
        return float(torch.tensor([getattr(row, score) for row in per_class], dtype=torch.float64).mean())

    return Evaluation(
        accuracy=float(right.mean()),
        top5=float(said.among_first(truth).mean()),
        macro_precision=mean("precision"),
        macro_recall=mean("recall"),
        macro_f1=mean("f1"),
        per_class=per_class,
        confusion=confusion,
        class_names=matched.names,
        n_images=len(truth),
        labels_matched=matched.how,
        labels_guessed=matched.guessed,
        rejected=rejected,
        provenance=provenance(model, images),
        ids=tuple(images.ids[row] for row in rows),
        labels=given,
        truth=truth,
        predictions=said,
    )


def _labels(truth: np.ndarray, n_labels: int) -> np.ndarray:
    """(N, K) bool of the one label that each image has."""
    return np.equal(truth[:, None], np.arange(n_labels))


def _by_label(
    names: tuple[str, ...], assigned: np.ndarray, scores: np.ndarray, wanted: np.ndarray
) -> tuple[tuple[ClassScore, ...], np.ndarray]:
    """Scores of the labels that occur, and (K, K) how often images of a label (row) were given each label (column).

    assigned, wanted: (N, K) bool, the labels that are predicted, and those that the images have. scores: (N, K).
    """
    from sklearn import metrics

    precision, recall, f1, support = metrics.precision_recall_fscore_support(wanted, assigned, zero_division=0)
    rows = tuple(
        ClassScore(
            names[index], float(precision[index]), float(recall[index]), float(f1[index]), int(support[index]),
            float(metrics.average_precision_score(wanted[:, index], scores[:, index])),
        )
        for index in np.flatnonzero(support).tolist()
    )  # fmt: skip
    return rows, wanted.T.astype(np.int64) @ assigned.astype(np.int64)


def _by_class(
    names: tuple[str, ...], predicted: np.ndarray, truth: np.ndarray
) -> tuple[tuple[ClassScore, ...], np.ndarray]:
    """Scores of the classes that occur, and the confusion matrix (K, K) of all. predicted, truth: (N,) int64."""
    size = len(names)
    confusion = np.bincount(truth * size + predicted, minlength=size * size).reshape(size, size)  # (K, K)
    right, given, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)  # (K,) each
    precision, recall = _share(right, given), _share(right, support)  # (K,)
    f1 = _share(2 * right, given + support)  # (K,)
    scores = tuple(
        ClassScore(names[index], float(precision[index]), float(recall[index]), float(f1[index]), int(support[index]))
        for index in np.flatnonzero(support).tolist()
    )
    return scores, confusion


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, and 0 where there is nothing to have a part of, as float32."""
    return (part / np.maximum(whole, 1)).astype(np.float32)
