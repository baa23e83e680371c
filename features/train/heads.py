"""What a classifier's logits are taught to say: one class, one of two, or any number of labels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.datasets import ImageSet
from features.errors import FeatureError
from features.networks.card import Outputs
from features.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    Losses = Callable[["Tensor", "Tensor", float, "Tensor | None"], "Tensor"]


@dataclass(frozen=True)
class Head:
    """A kind of classifier.

    name: in a recipe; title: for people; paper: its source; outputs: what its logits say.
    losses: (N,) of logits, targets, label smoothing and class weights as of `balanced`, or None.
    right: (N,) bool, whether the logits say what the targets do.
    Targets are (N,) int64 classes, (N, K) their shares in mixed images, or (N, K) float32 labels of a multi-label head.
    """

    name: str
    title: str
    paper: str
    outputs: Outputs
    losses: "Losses"
    right: Callable[["Tensor", "Tensor"], "Tensor"]

    def logits(self, class_names: tuple[str, ...]) -> int:
        """How many logits it has."""
        return 1 if self.outputs is Outputs.BINARY else len(class_names)

    def targets(self, images: ImageSet) -> np.ndarray:
        """What it learns of every image, in the form above. Raises FeatureError for labels that it cannot learn."""
        if not images.is_labelled:
            raise FeatureError(
                f"{images.name} has no labels to learn from. Put the images into one folder per class, or give a list "
                "with a column of labels."
            )
        if self.outputs is Outputs.MULTILABEL:
            sets = images.label_sets
            return one_hot(images.labels, len(images.class_names)) if sets is None else sets.astype(np.float32)
        if images.labels is None:
            raise FeatureError(
                f"{images.name} has any number of labels an image, and a head of {self.name} learns one class an "
                "image. Train with --head multi-label, or give a list with one label each (--label-column names its "
                "column)."
            )
        if self.outputs is Outputs.BINARY and len(images.class_names) != 2:
            raise FeatureError(
                f"A head of one logit parts two classes, but {images.name} has {len(images.class_names)}. Use the head "
                "softmax."
            )
        return images.labels


def one_hot(labels: np.ndarray | None, classes: int) -> np.ndarray:
    """(N, K) float32 of labels (N,)."""
    assert labels is not None  # of a labelled set without label sets
    return np.eye(classes, dtype=np.float32)[labels]


def balanced(targets: np.ndarray, head: Head, classes: int) -> np.ndarray:
    """Weights by which each class counts alike: (K,) float32, or (2, K) of labels' absence and presence.

    Their mean over the images is 1, so that the learning rate means the same with them and without. A class without
    images has 0.
    """
    if head.outputs is Outputs.MULTILABEL:
        held = targets.sum(0)  # (K,)
        return _inverse(np.stack([len(targets) - held, held]))
    return _inverse(np.bincount(targets, minlength=classes)[None])[0]


def _inverse(counts: np.ndarray) -> np.ndarray:
    """Of counts (R, K), or (2, K) along the first axis: N / (occurring * count)."""
    axis = 0 if len(counts) > 1 else 1
    occurring = (counts > 0).sum(axis, keepdims=True)
    total = counts.sum(axis, keepdims=True)
    return np.where(counts > 0, total / (occurring * np.maximum(counts, 1)), 0).astype(np.float32)


def _softmax_losses(logits: "Tensor", targets: "Tensor", smoothing: float, weights: "Tensor | None") -> "Tensor":
    from torch.nn import functional

    losses = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)  # (N,)
    if weights is None:
        return losses
    return losses * (weights[targets] if targets.ndim == 1 else targets @ weights)


def _softmax_right(logits: "Tensor", targets: "Tensor") -> "Tensor":
    return logits.argmax(1) == (targets if targets.ndim == 1 else targets.argmax(1))


def _second(targets: "Tensor") -> "Tensor":
    """(N,) float32, the share of the second of two classes."""
    return targets.float() if targets.ndim == 1 else targets[:, 1]


def _logit_losses(logits: "Tensor", targets: "Tensor", smoothing: float, weights: "Tensor | None") -> "Tensor":
    truth = _second(targets)
    losses = _sigmoid_losses(logits[:, 0], truth, smoothing)  # (N,)
    return losses if weights is None else losses * (weights[0] * (1 - truth) + weights[1] * truth)


def _logit_right(logits: "Tensor", targets: "Tensor") -> "Tensor":
    return (logits[:, 0] > 0) == (_second(targets) > 0.5)


def _label_losses(logits: "Tensor", targets: "Tensor", smoothing: float, weights: "Tensor | None") -> "Tensor":
    losses = _sigmoid_losses(logits, targets, smoothing)  # (N, K)
    if weights is not None:
        losses = losses * (weights[0] * (1 - targets) + weights[1] * targets)
    return losses.mean(1)


def _label_right(logits: "Tensor", targets: "Tensor") -> "Tensor":
    return ((logits > 0) == (targets > 0.5)).all(1)


def _sigmoid_losses(logits: "Tensor", truth: "Tensor", smoothing: float) -> "Tensor":
    """Binary cross-entropy, one by one. Smoothing shares among the two classes that there are."""
    from torch.nn import functional

    smoothed = truth * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits, smoothed, reduction="none")


HEADS = Registry(
    "head",
    (
        Head("softmax", "one of K classes", "Bridle 1990", Outputs.MULTICLASS, _softmax_losses, _softmax_right),
        Head("one-logit", "one of two classes", "Cox 1958", Outputs.BINARY, _logit_losses, _logit_right),
        Head(
            "multi-label", "any number of labels, by binary cross-entropy", "Wightman et al. 2021, arXiv:2110.00476",
            Outputs.MULTILABEL, _label_losses, _label_right,
        ),
    ),
)  # fmt: skip
