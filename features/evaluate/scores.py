"""Precision, recall and confusion, class by class or label by label."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from features.shares import Share


@dataclass(frozen=True)
class ClassScore:
    """One class, the network's number `index`: shares in [0, 1]; support is the number of its images.

    Precision is 0 where nothing was predicted as it. hits: images of it that were predicted as it; given: all that were
    predicted as it. average_precision: the area below precision over recall of all thresholds, of a label among many;
    None where one class holds.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    hits: int
    given: int
    index: int
    average_precision: float | None = None

    @property
    def recall_share(self) -> Share:
        """Recall with its interval."""
        return Share(self.hits, self.support)

    @property
    def precision_share(self) -> Share | None:
        """Precision with its interval; None where nothing was predicted as it."""
        return Share(self.hits, self.given) if self.given else None

    def as_dict(self) -> dict[str, Any]:
        known = {name: value for name, value in asdict(self).items() if value is not None}
        for name in ("hits", "given", "index"):
            del known[name]
        precision = self.precision_share
        return known | {
            "precision_interval": None if precision is None else list(precision.interval),
            "recall_interval": list(self.recall_share.interval),
        }


def by_label(
    names: tuple[str, ...], assigned: np.ndarray, scores: np.ndarray, wanted: np.ndarray
) -> tuple[tuple[ClassScore, ...], np.ndarray]:
    """Scores of the labels that occur, and (K, K) how often images of a label (row) were given each label (column).

    assigned, wanted: (N, K) bool, the labels that are predicted, and those that the images have. scores: (N, K).
    """
    from sklearn import metrics

    precision, recall, f1, support = metrics.precision_recall_fscore_support(wanted, assigned, zero_division=0)
    hits, given = (assigned & wanted).sum(0), assigned.sum(0)  # (K,) each
    rows = tuple(
        ClassScore(
            names[index], float(precision[index]), float(recall[index]), float(f1[index]), int(support[index]),
            int(hits[index]), int(given[index]), index,
            float(metrics.average_precision_score(wanted[:, index], scores[:, index])),
        )
        for index in np.flatnonzero(support).tolist()
    )  # fmt: skip
    return rows, wanted.T.astype(np.int64) @ assigned.astype(np.int64)


def by_class(
    names: tuple[str, ...], predicted: np.ndarray, truth: np.ndarray
) -> tuple[tuple[ClassScore, ...], np.ndarray]:
    """Scores of the classes that occur, and the confusion matrix (K, K) of all. predicted, truth: (N,) int64."""
    size = len(names)
    confusion = np.bincount(truth * size + predicted, minlength=size * size).reshape(size, size)  # (K, K)
    right, given, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)  # (K,) each
    precision, recall = _share(right, given), _share(right, support)  # (K,)
    f1 = _share(2 * right, given + support)  # (K,)
    scores = tuple(
        ClassScore(
            names[index], float(precision[index]), float(recall[index]), float(f1[index]), int(support[index]),
            int(right[index]), int(given[index]), index,
        )
        for index in np.flatnonzero(support).tolist()
    )  # fmt: skip
    return scores, confusion


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, and 0 where there is nothing to have a part of, as float32."""
    return (part / np.maximum(whole, 1)).astype(np.float32)
