"""Counts how often a network is right on a labelled image set, and where it is wrong."""

import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from features.catalogue import ModelSpec
from features.datasets import ImageSet, Rejected
from features.errors import DatasetError, FeatureError
from features.extract import finite, over, provenance
from features.progress import Task
from features.zoo import Model

TOP = 5


@dataclass(frozen=True)
class ClassScore:
    """One class: shares in [0, 1]; support is the number of its images.

    Precision is 0 where nothing was predicted as it.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a network does on N labelled images.

    accuracy, top5: shares of images whose class is the first, or among the first five.
    macro_*: unweighted means over the classes that occur in the set. per_class: those classes.
    confusion: (K, K) int64, rows are true classes, columns predicted ones; class_names: the network's K.
    labels_matched: with the network's classes 'by name', or 'by order' where no name agreed.
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
    rejected: tuple[Rejected, ...]
    provenance: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {**asdict(self), "confusion": self.confusion.tolist()}


def evaluate(model: Model, images: ImageSet) -> Task[Evaluation]:
    """Predict every image in fp32 and compare with its label.

    Raises DatasetError if the images have no labels or the labels cannot be matched with the network's
    classes, FeatureError if the network has fewer than two classes or puts out NaN.
    """
    model.need_classifier()
    if (model.spec.architecture.classes or 0) < 2:
        raise FeatureError(f"{model.spec.name} knows one class only, so it is always right. Choose another network.")
    matched = match_labels(model.spec, images)
    ranked: list[Tensor] = []
    n_classes = model.spec.architecture.classes or 0

    def work(pixels: Tensor) -> None:
        with torch.inference_mode():
            logits = finite(model.network(pixels), model)  # (N, K)
            ranked.append(logits.topk(min(TOP, n_classes), dim=1).indices.cpu())  # (N, 5)

    rows, rejected = yield from over(model, images, work)
    return _score(model, images, torch.cat(ranked), torch.from_numpy(matched.classes[rows]), matched.by_order, rejected)


def _score(
    model: Model,
    images: ImageSet,
    ranked: Tensor,
    targets: Tensor,
    by_order: bool,
    rejected: tuple[Rejected, ...],
) -> Evaluation:
    from torchmetrics.functional import classification

    n_classes = model.spec.architecture.classes or 0
    predicted = ranked[:, 0]
    settings: dict[str, Any] = {"num_classes": n_classes, "average": "none"}
    names = class_names(model.spec, images)
    precision = classification.multiclass_precision(predicted, targets, **settings)  # (K,)
    recall = classification.multiclass_recall(predicted, targets, **settings)  # (K,)
    f1 = classification.multiclass_f1_score(predicted, targets, **settings)  # (K,)
    support = targets.bincount(minlength=n_classes)  # (K,)
    present = support.nonzero().flatten()
    return Evaluation(
        accuracy=float((predicted == targets).double().mean()),
        top5=float((ranked == targets[:, None]).any(1).double().mean()),
        macro_precision=float(precision[present].double().mean()),
        macro_recall=float(recall[present].double().mean()),
        macro_f1=float(f1[present].double().mean()),
        per_class=tuple(
            ClassScore(
                names[index],
                float(precision[index]),
                float(recall[index]),
                float(f1[index]),
                int(support[index]),
            )
            for index in present.tolist()
        ),
        confusion=classification.multiclass_confusion_matrix(predicted, targets, num_classes=n_classes).numpy(),
        class_names=names,
        n_images=len(targets),
        labels_matched="by order" if by_order else "by name",
        rejected=rejected,
        provenance=provenance(model, images),
    )


def class_names(spec: ModelSpec, images: ImageSet) -> tuple[str, ...]:
    """The K names to show: the network's own, else the set's if there are as many, else numbers."""
    n_classes = spec.architecture.classes or 0
    if spec.class_names:
        return spec.class_names
    if len(images.class_names) == n_classes:
        return images.class_names
    return tuple(str(index) for index in range(n_classes))


@dataclass(frozen=True, eq=False)
class Matched:
    """The labels of N images as the network's classes.

    classes: (N,) int64. by_order: whether labels and classes both have names, of which none agree, so that their
    order alone says which is which.
    """

    classes: np.ndarray
    by_order: bool


def match_labels(spec: ModelSpec, images: ImageSet) -> Matched:
    """Find the network's class of every image.

    The set's class names are looked up among the network's (spaces, underscores and case aside). If none of
    them is known there, they are taken in order when there are as many as the network has classes.
    Raises DatasetError otherwise.
    """
    if images.labels is None:
        raise DatasetError(
            f"{images.name} has no labels. Put the images into one folder per class, named as the network's classes."
        )
    known: dict[str, int] = {}
    for spelling in (str, _plain):  # the exact one first: signs are all that tells 'C' from 'C++'
        for index, name in enumerate(spec.class_names):
            known.setdefault(spelling(name), index)  # ImageNet has 'maillot' twice; the first is meant
    found = [known.get(name, known.get(_plain(name))) for name in images.class_names]
    unknown = [name for name, index in zip(images.class_names, found, strict=True) if index is None]
    if known and not unknown:
        return Matched(np.array(found, dtype=np.int64)[images.labels], by_order=False)
    if len(unknown) == len(found) == spec.architecture.classes:  # other words altogether, as ImageNet's 'n01440764'
        return Matched(images.labels, by_order=bool(known))
    raise DatasetError(
        f"{images.name} has {len(found)} classes, and {spec.name} has {spec.architecture.classes}; "
        f"{len(unknown)} names are not among the network's ({', '.join(unknown[:6])}). Rename the folders, name "
        "the network's classes with --classes FILE (or the network with --model NAME, if it is a known one), or choose "
        "another network."
    )


def matched(spec: ModelSpec, images: ImageSet) -> Matched | None:
    """As `match_labels`, or None where labels are missing or cannot be matched."""
    try:
        return match_labels(spec, images)
    except DatasetError:
        return None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.lower()).strip()
