"""Counts how often a network is right on a labelled image set, and where it is wrong."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from features import predictions
from features.datasets import ImageSet, Rejected
from features.datasets.decoding import over
from features.datasets.labels import Matched, match_labels
from features.evaluate import calibration as calibrations
from features.evaluate.calibration import Calibration
from features.evaluate.scores import ClassScore, by_class, by_label
from features.networks.card import Outputs
from features.networks.zoo import Model
from features.predictions import Predictions
from features.progress import Task
from features.results import Provenance, finite, provenance
from features.shares import Share

if TYPE_CHECKING:
    import pandas as pd


OF_IMAGES = ("rows", "ids", "labels", "truth", "predictions")  # what an Evaluation has a row of for every image
FITTED_LOGITS = 2**24  # 64 MiB of logits are kept to fit a temperature and tell of it


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a network does on N labelled images.

    accuracy, top5: shares of images whose class is the first, or among the first five. Of a network of many labels, an
    image's class is the one label that it has, and accuracy is the share of images of which every label is right.
    Of images of any number of labels a network that predicts one class is right if it is one of them.
    macro_*: unweighted means over the classes that occur in the set. per_class: those classes.
    confusion: (K, K) int64, rows are true classes, columns predicted ones; class_names: the network's K.
    labels_matched: with the network's classes, as `labels.Matched.how`. labels_guessed: what speaks against it, or ''.
    calibration: how far its confidence can be trusted.
    rows: (N,) int64, the images' numbers in the set. ids, labels: (N,), and their labels in the set's words.
    truth: (N,) int64, these as the network's classes; (N, K) bool of images of any number of labels.
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
    calibration: Calibration
    rows: np.ndarray
    ids: tuple[str, ...]
    labels: np.ndarray
    truth: np.ndarray
    predictions: Predictions

    @property
    def accuracy_share(self) -> Share:
        """Accuracy with its interval."""
        return Share(round(self.accuracy * self.n_images), self.n_images)

    @property
    def top5_share(self) -> Share:
        """top5 with its interval."""
        return Share(round(self.top5 * self.n_images), self.n_images)

    @property
    def correct(self) -> np.ndarray:
        """(N,) bool, whether each prediction is right."""
        return self.predictions.correct(self.truth)

    def of_class(self, index: int) -> np.ndarray:
        """(N,) bool, the images of a class, or with a label, by its number."""
        return self.truth[:, index] if self.truth.ndim == 2 else self.truth == index

    def predicted_as(self, index: int) -> np.ndarray:
        """(N,) bool, the images that were predicted as a class, or given a label, by its number."""
        assigned = self.predictions.assigned
        return self.predictions.predicted == index if assigned is None else assigned[:, index]

    def hardest(self) -> np.ndarray:
        """(N,) int64, the images in order: wrong and sure of it first, right and sure of it last."""
        sure = self.predictions.confidence.astype(np.float64)
        return np.argsort(-np.where(self.correct, -sure, sure), kind="stable")

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
            "accuracy_interval": list(self.accuracy_share.interval),
            "top5_interval": list(self.top5_share.interval),
            "calibration": self.calibration.as_dict(),
            "per_class": [score.as_dict() for score in self.per_class],
            "rejected": [asdict(entry) for entry in self.rejected],
            "confusion": self.confusion.tolist(),
            "provenance": self.provenance.as_dict(),
        }

    def table(self, top: int = 1) -> "pd.DataFrame":
        """One row per image, as of `predictions.table`, with `correct`."""
        return predictions.table(self.ids, self.labels, self.predictions, self.truth, top)


@dataclass(eq=False)
class _Read:
    """What the network puts out, batch by batch.

    fitted: (N,) bool, whose logits are kept to fit a temperature, by their number among those that could be read.
    parts: predictions. scores: (N, K) scores by which images are ranked, label by label. logits: (F, K) of the fitted.
    """

    matched: Matched
    outputs: Outputs
    fitted: np.ndarray
    parts: list[Predictions] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)
    done: int = 0

    def add(self, logits: np.ndarray) -> None:
        self.parts.append(Predictions.of(logits, self.matched.names, self.outputs))
        self.logits.append(logits[self.fitted[self.done : self.done + len(logits)]])
        self.done += len(logits)
        if self.outputs is Outputs.MULTILABEL:
            self.scores.append(logits)
        elif self.matched.sets is not None:  # how likely a class is also depends on the others
            self.scores.append(predictions.probabilities(logits, self.outputs))


def evaluate(model: Model, images: ImageSet, way: str | None = None) -> Task[Evaluation]:
    """Predict every image in fp32 and compare with its label.

    way: how labels are matched with classes, of `labels.WAYS`; None for what tells most. Raises DatasetError if the
    images have no labels or the labels cannot be matched with the network's classes, FeatureError if it puts out NaN.
    """
    model.need_classifier()
    matched = match_labels(model.spec, images, way)
    read = _Read(matched, model.spec.outputs, _sampled(len(images), FITTED_LOGITS // len(matched.names)))

    def work(pixels: Tensor) -> None:
        with torch.inference_mode():
            logits = finite(model.network(pixels), model)  # (N, K)
        read.add(logits.cpu().numpy())

    rows, rejected = yield from over(model, images, work)
    return _score(model, images, read, rows, rejected)


def of_logits(
    model: Model,
    images: ImageSet,
    matched: Matched,
    rows: np.ndarray,
    logits: Iterable[np.ndarray],
    rejected: tuple[Rejected, ...] = (),
) -> Evaluation:
    """What a network put out before, judged as `evaluate` judges it.

    matched: the set's labels as the K classes that the logits are of. rows: (N,) int64, the images that were read, by
    their numbers in the set. logits: blocks (n, K) of these in their order, all finite.
    """
    read = _Read(matched, model.spec.outputs, _sampled(len(rows), FITTED_LOGITS // len(matched.names)))
    for block in logits:
        read.add(block)
    return _score(model, images, read, rows, rejected)


def _score(model: Model, images: ImageSet, read: _Read, rows: np.ndarray, rejected: tuple[Rejected, ...]) -> Evaluation:
    matched, said = read.matched, Predictions.joined(read.parts)
    truth = matched.truth(rows)
    given = images.label_names(rows)
    assert truth is not None  # match_labels found them
    assert given is not None
    wanted = truth
    if read.scores:
        scores = np.concatenate(read.scores)
        wanted = truth if truth.ndim == 2 else _labels(truth, len(matched.names))  # (N, K)
        assigned = said.assigned if said.assigned is not None else _labels(said.predicted, len(matched.names))
        per_class, confusion = by_label(matched.names, assigned, scores, wanted)
    else:
        per_class, confusion = by_class(matched.names, said.predicted, truth)
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
        calibration=_calibration(read, said, wanted, right),
        rows=rows,
        ids=tuple(images.ids[row] for row in rows),
        labels=given,
        truth=truth,
        predictions=said,
    )


def _calibration(read: _Read, said: Predictions, wanted: np.ndarray, right: np.ndarray) -> Calibration:
    """wanted: (N,) classes, or (N, K) labels. right: (N,) bool."""
    one_class_of_many = wanted.ndim == 2 and read.outputs is not Outputs.MULTILABEL
    temperature = None
    if not one_class_of_many:
        fitted = wanted[read.fitted[: len(wanted)]]
        temperature = calibrations.temperature(np.concatenate(read.logits), fitted, read.outputs)
    if read.outputs is Outputs.MULTILABEL:
        confidence, right = calibrations.answers(np.concatenate(read.scores), wanted, read.outputs)
        return calibrations.calibration(confidence, right, temperature)
    return calibrations.calibration(said.confidence, right, temperature)


def _sampled(n_images: int, most: int, seed: int = 0) -> np.ndarray:
    """(N,) bool, at most so many images by chance."""
    chosen = np.zeros(n_images, bool)
    chosen[np.random.default_rng(seed).permutation(n_images)[:most]] = True
    return chosen


def _labels(truth: np.ndarray, n_labels: int) -> np.ndarray:
    """(N, K) bool of the one label that each image has."""
    return np.equal(truth[:, None], np.arange(n_labels))
