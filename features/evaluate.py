"""Counts how often a network is right on a labelled image set, and where it is wrong."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from features.datasets import ImageSet, Rejected
from features.datasets.decoding import over
from features.datasets.labels import class_names, match_labels
from features.errors import FeatureError
from features.networks.zoo import Model
from features.progress import Task
from features.results import finite, provenance

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
