"""How well a stage's features tell the classes of images apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.neighbours.neighbours import Neighbours
from features.progress import Progress, Task
from features.shares import Share

FOLDS = 5
BLOCK_VALUES = 2**22  # counts of votes at a time
PROBED_ROWS = 5000  # of which a linear probe learns, and a silhouette is taken
LEAST_OF_A_CLASS = FOLDS


@dataclass(frozen=True, eq=False)
class Separation:
    """How features of N labelled images tell K classes apart.

    by_neighbours: right votes of each image's k nearest others. by_line: right answers of a linear classifier about
        images that it has not seen, None where fewer than two classes have five images.
    silhouette: (K,) float64 in [-1, 1], NaN for a class of fewer than two images.
    confusion: (K, K) int64, rows are labels, columns what the neighbours vote for.
    probed: (P,) int64 rows of the images of which the linear classifier was asked; probabilities: (P, K) float32, what
        it says of them without having seen them.
    """

    class_names: tuple[str, ...]
    by_neighbours: Share
    by_line: Share | None
    silhouette: np.ndarray
    confusion: np.ndarray
    probed: np.ndarray
    probabilities: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Without what is told of single images, as it stands in files."""
        known = [float(value) for value in self.silhouette if np.isfinite(value)]
        return {
            "neighbours_accuracy": self.by_neighbours.as_dict(),
            "linear_accuracy": None if self.by_line is None else self.by_line.as_dict(),
            "silhouette": sum(known) / len(known) if known else None,
            "confused": [[one, other, count] for one, other, count in self.confused()],
        }

    def confused(self, most: int = 5) -> list[tuple[str, str, int]]:
        """The pairs (label, vote, images) that are mistaken most often, at most so many."""
        mistakes = self.confusion.copy()
        np.fill_diagonal(mistakes, 0)
        order = np.argsort(-mistakes, axis=None, kind="stable")[:most]
        pairs = zip(*np.unravel_index(order, mistakes.shape), strict=True)
        names = self.class_names
        return [(names[one], names[other], int(mistakes[one, other])) for one, other in pairs if mistakes[one, other]]


def separation(
    features: np.ndarray, graph: Neighbours, labels: np.ndarray, class_names: Sequence[str], seed: int = 0
) -> Task[Separation]:
    """How well features (N, D) tell the labels (N,) of K classes apart.

    graph: of the features, at least two neighbours. seed: of the folds, and of the sample above 5,000 images.
    """
    votes = voted(graph, labels, len(class_names))
    confusion = np.zeros((len(class_names), len(class_names)), np.int64)
    np.add.at(confusion, (labels, votes), 1)
    rows = np.sort(np.random.default_rng(seed).permutation(len(labels))[:PROBED_ROWS])
    yield Progress(0, FOLDS + 1, "step", "how well classes separate")
    silhouette = _silhouette(features[rows], labels[rows], len(class_names))
    probed = rows[_in_large_classes(labels[rows])]
    if len(np.unique(labels[probed])) < 2:
        probed = probed[:0]
    probabilities = np.empty((0, len(class_names)), np.float32)
    if len(probed):
        probabilities = yield from _probed(features[probed], labels[probed], len(class_names), seed)
    right = int((probabilities.argmax(axis=1) == labels[probed]).sum())
    return Separation(
        class_names=tuple(class_names),
        by_neighbours=Share(int((votes == labels).sum()), len(labels)),
        by_line=Share(right, len(probed)) if len(probed) else None,
        silhouette=silhouette,
        confusion=confusion,
        probed=probed,
        probabilities=probabilities,
    )


def voted(graph: Neighbours, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(N,) the class that most of each image's nearest others have, of equally many that of the nearest of them."""
    votes = np.empty(len(labels), np.int64)
    rows_at_once = max(1, BLOCK_VALUES // max(1, n_classes))
    for start in range(0, len(labels), rows_at_once):
        near = labels[graph.indices[start : start + rows_at_once, 1:]]  # (R, k)
        rows = np.arange(len(near))
        counts = np.zeros((len(near), n_classes), np.int32)
        for column in near.T:
            counts[rows, column] += 1
        most = counts.max(axis=1)
        for column in near.T[::-1]:  # the nearest has the last word
            wins = counts[rows, column] == most
            votes[start + rows[wins]] = column[wins]
    return votes


def _silhouette(features: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Each class's mean silhouette (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7), NaN where it has none: (K,)."""
    from sklearn.metrics import silhouette_samples

    sizes = np.bincount(labels, minlength=n_classes)
    means = np.full(n_classes, np.nan)
    if 2 <= (sizes > 0).sum() < len(labels):
        values = silhouette_samples(features, labels)
        for label in np.flatnonzero(sizes > 1):
            means[label] = values[labels == label].mean()
    return means


def _in_large_classes(labels: np.ndarray) -> np.ndarray:
    """(N,) whether an image's class has one for every fold."""
    return np.bincount(labels)[labels] >= LEAST_OF_A_CLASS


def _probed(features: np.ndarray, labels: np.ndarray, n_classes: int, seed: int) -> Task[np.ndarray]:
    """What logistic regression on the other folds says of each image: (N, K) float32."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    said = np.zeros((len(labels), n_classes), np.float32)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(features, labels)
    for number, (known, asked) in enumerate(folds):
        yield Progress(number + 1, FOLDS + 1, "step", "a linear probe")
        # A tolerance at which the answers stand: the last digits of the weights take most of the time.
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-2, max_iter=200))
        classifier.fit(features[known], labels[known])
        said[np.ix_(asked, classifier[-1].classes_)] = classifier.predict_proba(features[asked])
    return said
