"""How well a second set of images is told from those that a network knows: scores of novelty, stage by stage.

The known images are halved: one half is what distances are measured from, the other is compared with the second set,
so that no image is compared with itself.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.errors import FeatureError
from features.evaluate.separating import Separating, separating
from features.neighbours import Exact, need_finite
from features.predictions import Predictions
from features.progress import Progress, Task
from features.registry import Registry
from features.store import FeatureSet

NEIGHBOUR = 10  # the k of the k-th nearest image
LEAST = 4  # known images, so that both halves hold two
FEATURES, PREDICTIONS = "features", "predictions"


@dataclass(frozen=True, eq=False)
class Reference:
    """One half of the known images at a stage. features: (N, D). classes: (N,) int64."""

    features: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Score:
    """A score that is high for images unlike the known ones. title: for people; method: in words, with its source.

    of_features: reference, features (M, D) -> (M,) float64; of_predictions: what was said of M images -> (M,). One of
    them is None: a score of features is one at every stage.
    """

    name: str
    title: str
    method: str
    of_predictions: Callable[[Predictions], np.ndarray] | None = None
    of_features: Callable[[Reference, np.ndarray], np.ndarray] | None = None


def _energy(said: Predictions) -> np.ndarray:
    return said.energy.astype(np.float64)


def _softmax(said: Predictions) -> np.ndarray:
    return 1 - said.probabilities[:, 0].astype(np.float64)


def mahalanobis(known: Reference, features: np.ndarray) -> np.ndarray:
    """The squared distance (M,) to the nearest class mean, in the classes' shared covariance.

    That is shrunk (Ledoit & Wolf 2004), because there are often fewer images than channels.
    """
    groups, members = np.unique(known.classes, return_inverse=True)
    values = known.features.astype(np.float64)
    means = np.stack([values[members == group].mean(0) for group in range(len(groups))])  # (K, D)
    directions, weights, rest = shrunk(values - means[members])  # (D, R), (R,)
    points, centres = features - values.mean(0), means - values.mean(0)  # (M, D), (K, D)
    along, along_centres = points @ directions, centres @ directions  # (M, R), (K, R)
    squares = np.square(points).sum(1)[:, None] + np.square(centres).sum(1) - 2 * points @ centres.T  # (M, K)
    nearest = np.full(len(features), np.inf)
    for centre, whole in zip(along_centres, squares.T, strict=True):
        inside = np.square(along - centre)  # (M, R)
        outside = np.maximum(whole - inside.sum(1), 0)  # (M,), what no direction holds
        nearest = np.minimum(nearest, inside @ weights + outside * rest)
    return nearest


def shrunk(residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The inverse of the shrunk covariance of residuals (N, D): directions (D, R), the weights (R,) of squared lengths
    along them, and that of what lies in none of them; 0 where nothing varies.

    By the smaller of the two Gram matrices, so that a few images with many channels take a moment.
    """
    from scipy.linalg import eigh
    from sklearn.covariance import ledoit_wolf_shrinkage

    n_rows, width = residuals.shape
    scale = residuals.std()
    if scale == 0:
        return np.zeros((width, 0)), np.zeros(0), 0.0
    residuals = residuals / scale
    by_rows = n_rows < width
    variances, vectors = eigh((residuals @ residuals.T if by_rows else residuals.T @ residuals) / n_rows)
    varies = variances > variances[-1] * 1e-10
    variances, vectors = variances[varies], vectors[:, varies]
    directions = residuals.T @ vectors / np.sqrt(n_rows * variances) if by_rows else vectors  # (D, R)
    towards = ledoit_wolf_shrinkage(residuals, assume_centered=True)
    floor = towards * np.square(residuals).mean()  # the share of a sphere in the covariance
    weights = 1 / ((1 - towards) * variances + floor)
    return directions, weights / scale**2, 1 / floor / scale**2 if floor > 1e-12 else 0.0


def neighbour_distance(known: Reference, features: np.ndarray) -> np.ndarray:
    """The distance (M,) to the k-th nearest known image, all features scaled to length 1.

    k is NEIGHBOUR, or half of the mean class where that is less: beyond its class a known image has no near one.
    """
    mean_class = len(known.classes) / len(np.unique(known.classes))
    k = min(NEIGHBOUR, max(1, int(mean_class / 2)))
    _, distances = Exact(_unit(known.features)).nearest(_unit(features), k)
    return distances[:, -1]


def _unit(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.where(lengths > 0, lengths, 1)).astype(np.float32)


SCORES = Registry(
    "novelty score",
    (
        Score("energy", "Energy", "-log of the sum of exp(logits) (Liu et al. 2020, arXiv:2010.03759)", _energy),
        Score(
            "softmax", "Maximum softmax", "1 - the highest probability (Hendrycks & Gimpel 2017, arXiv:1610.02136)",
            _softmax,
        ),
        Score(
            "mahalanobis", "Mahalanobis distance",
            "to the nearest class mean, in a shared covariance, shrunk (Lee et al. 2018, arXiv:1807.03888)",
            of_features=mahalanobis,
        ),
        Score(
            "neighbours", "Distance to neighbours",
            f"to the {NEIGHBOUR}th nearest known image, a nearer one where classes are small, features of length 1 "
            "(Sun et al. 2022, arXiv:2204.06507)",
            of_features=neighbour_distance,
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scored:
    """One score, at a stage where it is of features (else ''). known: (N,) float64, of the half that is compared;
    others: (M,) of the second set; separating: how well it tells them apart."""

    score: str
    stage: str
    known: np.ndarray
    others: np.ndarray
    separating: Separating


@dataclass(frozen=True, eq=False)
class Novelty:
    """How M images of a second set differ from N known ones.

    classes_by: what the classes of the Mahalanobis distance are: 'labels', 'predictions', or 'one class'.
    n_reference: images of the half that distances are measured from. rows: (N,) int64, the others among the known.
    """

    scored: tuple[Scored, ...]
    classes_by: str
    n_reference: int
    rows: np.ndarray
    known_name: str
    others_name: str

    def of(self, score: str) -> Iterator[Scored]:
        """A score at every stage, or the one entry of a score of predictions."""
        return (each for each in self.scored if each.score == score)

    def as_dict(self) -> dict[str, Any]:
        """Without what is told of single images."""
        return {
            "known": self.known_name,
            "others": self.others_name,
            "classes_by": self.classes_by,
            "reference_images": self.n_reference,
            "scores": [
                {"score": each.score, **({"stage": each.stage} if each.stage else {}), **each.separating.as_dict()}
                for each in self.scored
            ],
        }


def novelty(known: FeatureSet, others: FeatureSet, seed: int = 0) -> Task[Novelty]:
    """All scores of SCORES that the network allows, at every stage. seed: of the halves.

    Raises FeatureError if there are fewer than four known images, if both sets are the same, or were read off
    different stages.
    """
    _need_two_sets(known, others)
    order = np.random.default_rng(seed).permutation(len(known))
    half, rest = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    classes, classes_by = _classes(known)
    scored: list[Scored] = []
    of_features = [score for score in SCORES.values() if score.of_features is not None]
    total = len(of_features) * len(known.stages)

    if known.predictions is not None and others.predictions is not None:
        inside, outside = known.predictions.take(rest), others.predictions
        for score in SCORES.values():
            if score.of_predictions is not None and np.isfinite(known.predictions.energy).all():
                scored.append(_scored(score.name, "", score.of_predictions(inside), score.of_predictions(outside)))
    for stage in known.stages:
        values, strange = known.stages[stage], others.stages[stage]
        need_finite(values)
        need_finite(strange)
        reference = Reference(values[half], classes[half])
        for score in of_features:
            yield Progress(len(scored), total + 2, "score", f"{score.title} at {stage}")
            assert score.of_features is not None  # chosen so above
            both = score.of_features(reference, np.concatenate([values[rest], strange]))
            scored.append(_scored(score.name, stage, both[: len(rest)], both[len(rest) :]))
    names = known.provenance.images or "the images", others.provenance.images or "the others"
    return Novelty(tuple(scored), classes_by, len(half), rest, *names)


def _scored(score: str, stage: str, known: np.ndarray, others: np.ndarray) -> Scored:
    return Scored(score, stage, known, others, separating(known, others))


def _classes(known: FeatureSet) -> tuple[np.ndarray, str]:
    if known.labels is not None:
        return known.labels, "labels"
    if known.predictions is not None:
        return known.predictions.predicted, "predictions"
    return np.zeros(len(known), np.int64), "one class"


def _need_two_sets(known: FeatureSet, others: FeatureSet) -> None:
    if len(known) < LEAST or not len(others):
        raise FeatureError(
            f"There are {len(known)} known images and {len(others)} others. Choose at least {LEAST} and 1."
        )
    if known.provenance.images_digest is not None and known.provenance.images_digest == others.provenance.images_digest:
        raise FeatureError("The second set is the first one itself, so nothing in it is new. Choose another.")
    if _widths(known.stages) != _widths(others.stages):
        raise FeatureError("The two sets' features are of different networks or stages. Extract both with one network.")


def _widths(stages: Mapping[str, np.ndarray]) -> dict[str, int]:
    return {name: values.shape[1] for name, values in stages.items()}
