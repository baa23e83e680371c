"""What a network says of images: logits as probabilities, predictions and rows of a table."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from features.networks.card import Outputs

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

TOP = 5
BLOCK_VALUES = 2**20  # logits at a time, so that their copies in float64 take some MiB and not many times the logits


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, K) of logits (N, K), in float64 until the end."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return (shifted / shifted.sum(1, keepdims=True)).astype(np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits one by one, in float64. Neither end overflows: the exponential is of -|z|."""
    small = np.exp(-np.abs(logits.astype(np.float64)))
    return np.where(logits > 0, 1, small) / (1 + small)


def probabilities(logits: np.ndarray, outputs: Outputs) -> np.ndarray:
    """The probability of every class: (N, K) float32 of logits (N, K), or (N, 2) of the one logit of two classes."""
    if outputs is Outputs.MULTILABEL:
        return sigmoid(logits).astype(np.float32)
    return softmax(paired(logits))


def energy(logits: np.ndarray, outputs: Outputs) -> np.ndarray:
    """-log of the sum of exp(logits) (N, K) of each image, (N,) float32 (Liu et al. 2020, arXiv:2010.03759).

    Of labels of which any number holds, the sum of each one's own beside its absence, whose logit is 0 (Wang et al.
    2021, arXiv:2111.14923); of one logit likewise.
    """
    values = logits.astype(np.float64)
    if outputs is Outputs.MULTILABEL or logits.shape[1] == 1:
        return -np.logaddexp(0, values).sum(1).astype(np.float32)
    return -np.logaddexp.reduce(values, axis=1).astype(np.float32)


def paired(logits: np.ndarray) -> np.ndarray:
    """One logit (N, 1) as the two (N, 2) whose softmax is its sigmoid: the first class's is 0. Others as they are."""
    return logits if logits.shape[1] != 1 else np.pad(logits, ((0, 0), (1, 0)))


def class_logits(logits: "Tensor", outputs: Outputs) -> "Tensor":
    """As `probabilities` sees logits, where they are, for sums over batches on a device.

    (N, K) as they are, the one logit (N, 1) of two classes as (N, 2): 0 for the first class, so that softmax, argmax
    and cross-entropy are those of the logit's sigmoid.
    """
    if outputs is Outputs.MULTILABEL or logits.shape[1] != 1:
        return logits
    from torch.nn.functional import pad

    return pad(logits, (1, 0))


def class_probabilities(logits: "Tensor", outputs: Outputs) -> "Tensor":
    """`probabilities` (N, K) of what `class_logits` gives, where they are and in their precision."""
    return logits.sigmoid() if outputs is Outputs.MULTILABEL else logits.softmax(1)


def decisions(logits: "Tensor", outputs: Outputs) -> "Tensor":
    """(N, K) bool, what is predicted of each class, of what `class_logits` gives: the likeliest holds and no other, or
    each label that is likelier than not.

    A prediction is right, as of `Predictions.correct`, where this is `one_class` of the truth.
    """
    return logits > 0 if outputs is Outputs.MULTILABEL else one_class(logits.argmax(1), logits.shape[1])


def one_class(classes: "Tensor", count: int) -> "Tensor":
    """(N, count) bool, where each of the classes (N,) stands."""
    from torch import arange

    return classes[:, None] == arange(count, device=classes.device)


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a network said of N images, as far as it is kept: the T likeliest of K classes.

    class_names: (K,) what can be predicted.
    ranked: (N, T) int64, the likeliest classes from high to low, equal ones by number; T is 1 in sets from disk.
    probabilities: (N, T) float32, theirs, in [0, 1].
    confidence: (N,) float32 in [0, 1], the probability of the prediction; of several labels that do not depend on each
        other, the probability that all decisions are right.
    margin: (N,) float32 in [0, 1], by how much that is more than the next best prediction's; NaN where it was not kept.
    energy: (N,) float32, as of `energy`, low for images like those learned from; NaN where it was not kept.
    assigned: (N, K) bool, the labels that are predicted, which are those likelier than not, where any number may hold;
        None where exactly one class does.
    """

    class_names: tuple[str, ...]
    ranked: np.ndarray
    probabilities: np.ndarray
    confidence: np.ndarray
    margin: np.ndarray
    energy: np.ndarray
    assigned: np.ndarray | None = None

    @staticmethod
    def of(logits: np.ndarray, class_names: Sequence[str], outputs: Outputs, top: int = TOP) -> "Predictions":
        """Predictions of logits (N, K), or (N, 1) for two classes. top: how many classes to keep of each image."""
        if outputs is not Outputs.MULTILABEL:
            logits = paired(logits)  # (N, K)
        rows_at_once = max(1, BLOCK_VALUES // max(1, logits.shape[1]))
        blocks = [
            _block(logits[start : start + rows_at_once], tuple(class_names), outputs, min(top, logits.shape[1]))
            for start in range(0, max(1, len(logits)), rows_at_once)
        ]
        return Predictions.joined(blocks)

    @staticmethod
    def told(class_names: Sequence[str], predicted: np.ndarray, confidence: np.ndarray) -> "Predictions":
        """Predictions of which no more is known than the class (N,) and its probability (N,)."""
        unknown = np.full(len(predicted), np.nan, np.float32)
        return Predictions(tuple(class_names), predicted[:, None], confidence[:, None], confidence, unknown, unknown)

    @staticmethod
    def told_labels(class_names: Sequence[str], assigned: np.ndarray, confidence: np.ndarray) -> "Predictions":
        """As `told`, of which labels (N, K) bool are predicted; as the likeliest counts the first of them."""
        told = Predictions.told(class_names, assigned.argmax(1).astype(np.int64), confidence)
        return replace(told, assigned=assigned)

    @staticmethod
    def joined(parts: Sequence["Predictions"]) -> "Predictions":
        """Predictions of the images of several parts, one part after the other. At least one part."""
        first, *rest = parts
        if not rest:
            return first
        values = {name: [getattr(part, name) for part in parts] for name in first._arrays()}
        joined: dict[str, Any] = {name: np.concatenate(arrays) for name, arrays in values.items()}
        return replace(first, **joined)

    def _arrays(self) -> list[str]:
        """The fields that have a row for every image."""
        return [field.name for field in fields(self) if isinstance(getattr(self, field.name), np.ndarray)]

    def __len__(self) -> int:
        return len(self.ranked)

    def take(self, rows: np.ndarray | slice) -> "Predictions":
        """Those of some of the images."""
        taken: dict[str, Any] = {name: getattr(self, name)[rows] for name in self._arrays()}
        return replace(self, **taken)

    @property
    def predicted(self) -> np.ndarray:
        """(N,) int64, the likeliest class; where several may hold, the likeliest label, whether predicted or not."""
        return self.ranked[:, 0]

    @property
    def names(self) -> np.ndarray:
        """(N,) what is predicted, in words: a class, or labels with commas between them, '' for none."""
        if self.assigned is None:
            return named(self.predicted, self.class_names)
        words = np.array(self.class_names, dtype=object)
        return np.array([", ".join(words[labels]) for labels in self.assigned], dtype=object)

    def correct(self, truth: np.ndarray) -> np.ndarray:
        """(N,) bool, whether predictions are right. truth: (N,) the images' classes; or (N, K) bool of labels, all of
        which must be right; of a network that predicts one class, that must be among them.
        """
        if self.assigned is None:
            one = truth[np.arange(len(truth)), self.predicted] if truth.ndim == 2 else self.predicted == truth
            return np.asarray(one)
        if truth.ndim == 1:  # the one label of each
            truth = np.equal(truth[:, None], np.arange(self.assigned.shape[1]))  # (N, K)
        return np.asarray(self.correct_labels(truth).all(1))

    def correct_labels(self, truth: np.ndarray) -> np.ndarray:
        """(N, K) bool, label by label. truth: (N, K) bool."""
        assert self.assigned is not None  # these are labels
        return self.assigned == truth

    def among_first(self, truth: np.ndarray) -> np.ndarray:
        """(N,) bool, whether the classes (N,), or one of the labels (N, K), are among the T likeliest."""
        if truth.ndim == 2:
            return np.asarray(np.take_along_axis(truth, self.ranked, axis=1).any(1))
        return (self.ranked == truth[:, None]).any(1)

    def same(self, other: "Predictions") -> np.ndarray:
        """(N,) bool, whether another network predicts the same of each image."""
        if self.assigned is None or other.assigned is None:
            return self.predicted == other.predicted
        return (self.assigned == other.assigned).all(1)


def _block(logits: np.ndarray, class_names: tuple[str, ...], outputs: Outputs, top: int) -> Predictions:
    """As `Predictions.of`, of rows whose probabilities fit into memory."""
    chances = probabilities(logits, outputs)  # (N, K)
    ranked = likeliest(logits, top)  # (N, T)
    kept = np.take_along_axis(chances, ranked, 1)  # (N, T)
    if outputs is not Outputs.MULTILABEL:
        margin = kept[:, 0] - kept[:, 1] if top > 1 else np.full(len(logits), np.nan, np.float32)
        return Predictions(class_names, ranked, kept, kept[:, 0], margin, energy(logits, outputs))
    sure = sigmoid(np.abs(logits))  # (N, K) float64, of each decision
    least = sure.min(1)  # (N,)
    confidence = sure.prod(1)  # (N,)
    # The next best set of labels differs in the decision that is least sure.
    margin = confidence * (1 - (1 - least) / least)
    return Predictions(
        class_names, ranked, kept, confidence.astype(np.float32), margin.astype(np.float32), energy(logits, outputs),
        assigned=logits > 0,
    )  # fmt: skip


def likeliest(logits: np.ndarray, top: int = TOP) -> np.ndarray:
    """The `top` highest of each row (N, K), or all K, from high to low, equal ones by number: (N, T) int64.

    A few passes are faster than a whole sort.
    """
    top = min(top, logits.shape[1])
    rest, rows = logits.copy(), np.arange(len(logits))
    ranked = np.empty((len(logits), top), np.int64)
    for rank in range(top):
        ranked[:, rank] = rest.argmax(1)
        rest[rows, ranked[:, rank]] = -np.inf
    return ranked


def named(indices: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(N,) names, as objects, of N indices into them."""
    return np.array(names, dtype=object)[indices]


def table(
    ids: Sequence[str],
    labels: np.ndarray | None,
    predictions: Predictions | None,
    truth: np.ndarray | None = None,
    top: int = 1,
) -> "pd.DataFrame":
    """One row per image, the one form in which predictions are shown and written.

    id: the image; label: its own, in the set's words; pred, confidence: what the network said. labels: (N,) names.
    truth: as of `Predictions.correct`, for a column `correct`. top: above 1 also for `margin`, and for pred_2,
    confidence_2 and so on, of the classes after the predicted one. None and NaN stand for what is not known.
    """
    import pandas as pd  # not at once: whoever only opens a folder of features can do without

    none = np.full(len(ids), None, dtype=object)
    unknown = np.full(len(ids), np.nan, np.float32)
    columns = {
        "id": np.array(ids, dtype=object),
        "label": none if labels is None else labels,
        "pred": none if predictions is None else predictions.names,
        "confidence": unknown if predictions is None else predictions.confidence,
    }
    if predictions is not None:
        if truth is not None:
            columns["correct"] = predictions.correct(truth)
        if top > 1:
            columns["margin"] = predictions.margin
        for rank in range(1, min(top, predictions.ranked.shape[1])):
            columns[f"pred_{rank + 1}"] = named(predictions.ranked[:, rank], predictions.class_names)
            columns[f"confidence_{rank + 1}"] = predictions.probabilities[:, rank]
    # Texts stay Python's own: pandas' kind of them cannot hold the names that files may have on Linux.
    return pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in columns.items()})
