"""Lists of images worth a look, each by a method that is named."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.embed.maps import StageMaps, turnover
from features.embed.scores import Separation
from features.errors import FeatureError
from features.neighbours.neighbours import Neighbours
from features.predictions import Predictions
from features.registry import Registry

NEAR = 0.05  # of the usual distance to a neighbour, below which two images are near-duplicates


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of N images at one stage.

    graph: their neighbours there. labels: (N,) int64 or None; separation: of these labels. truth: (N,) the network's
    class of each image or None, predictions: what it said. maps: of every stage. splits: (N,) the name of each image's
    split or None.
    """

    graph: Neighbours
    labels: np.ndarray | None = None
    separation: Separation | None = None
    truth: np.ndarray | None = None
    predictions: Predictions | None = None
    maps: StageMaps | None = None
    splits: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Ranked:
    """Images in the order of a list, the first the most worth a look.

    rows: (R,) int64. scores: (R,) float64, high for the first. partners: (R,) int64, the image that each is told with,
    or None.
    """

    rows: np.ndarray
    scores: np.ndarray
    partners: np.ndarray | None = None


@dataclass(frozen=True)
class Ranking:
    """A list. name: in files and links; title: for people; score: what its number is; method: in words, with source.

    rank: what is known -> the list. needs: fields of `Evidence` beside the graph.
    """

    name: str
    title: str
    score: str
    method: str
    rank: Callable[[Evidence], Ranked]
    needs: tuple[str, ...] = ()

    def of(self, known: Evidence) -> Ranked:
        """The list of some images. Raises FeatureError if something that it needs is not known."""
        missing = [name for name in self.needs if getattr(known, name) is None]
        if missing:
            raise FeatureError(
                f"The list {self.title!r} needs {' and '.join(missing)}, which these images do not have. "
                "Choose another list, or a set with labels and a network with a classifier."
            )
        return self.rank(known)

    def can_rank(self, known: Evidence) -> bool:
        """Whether all that it needs is known, or follows: how labels are told apart follows from the labels."""
        return all(getattr(known, "labels" if name == "separation" else name) is not None for name in self.needs)


def _sorted(scores: np.ndarray, rows: np.ndarray | None = None) -> Ranked:
    rows = np.arange(len(scores)) if rows is None else rows
    order = np.argsort(-scores, kind="stable")
    return Ranked(rows[order], scores[order].astype(np.float64))


def _outliers(known: Evidence) -> Ranked:
    return _sorted(known.graph.distances[:, 1:].mean(axis=1, dtype=np.float64))


def _duplicates(known: Evidence) -> Ranked:
    return _pairs(known.graph, known.graph.indices < np.arange(len(known.graph))[:, None])


def _duplicates_across(known: Evidence) -> Ranked:
    assert known.splits is not None  # as `needs` says
    _, splits = np.unique(known.splits.astype(str), return_inverse=True)  # (N,)
    others = splits[known.graph.indices] != splits[:, None]
    return _pairs(known.graph, others & (known.graph.indices < np.arange(len(known.graph))[:, None]))


def _pairs(graph: Neighbours, eligible: np.ndarray) -> Ranked:
    """Pairs that are close, each once, at the image that comes later: with its nearest among those that are eligible,
    (N, k) bool."""
    usual = float(np.median(graph.distances[:, 1]))
    if not usual:  # more than half are copies: what is usual is told by the rest
        far = graph.distances[:, 1:][graph.distances[:, 1:] > 0]
        usual = float(np.median(far)) if len(far) else 1.0
    distances = np.where(eligible, graph.distances, np.inf)
    column = distances.argmin(axis=1)
    gaps = distances[np.arange(len(graph)), column].astype(np.float64)
    chosen = np.flatnonzero(gaps <= NEAR * usual)
    order = chosen[np.argsort(gaps[chosen], kind="stable")]
    return Ranked(order, 1 - gaps[order] / usual, graph.indices[order, column[order]].astype(np.int64))


def _label_errors(known: Evidence) -> Ranked:
    """Where another class is likelier than the label, by how much, each beside what is usual of its own images."""
    assert known.separation is not None  # as `needs` says
    assert known.labels is not None
    rows, said = known.separation.probed, known.separation.probabilities.astype(np.float64)
    labels = known.labels[rows]
    own = said[np.arange(len(rows)), labels]  # (P,) the probability of each image's label
    counts = np.bincount(labels, minlength=said.shape[1])
    usual = np.bincount(labels, own, said.shape[1]) / np.maximum(counts, 1)  # (K,)
    likely = said.argmax(axis=1)
    suspects = np.flatnonzero(likely != labels)
    beyond = said[suspects, likely[suspects]] - usual[likely[suspects]]
    return _sorted(beyond - (own[suspects] - usual[labels[suspects]]), rows[suspects])


def _hardest(known: Evidence) -> Ranked:
    """Wrong and sure first, then unsure, then right and sure."""
    assert known.predictions is not None
    assert known.truth is not None
    sure = known.predictions.confidence.astype(np.float64)
    return _sorted(np.where(known.predictions.correct(known.truth), 1 - sure, 1 + sure) / 2)


def _movers(known: Evidence) -> Ranked:
    assert known.maps is not None
    changes = turnover(known.maps, min(projection.graph.k for projection in known.maps.values()) - 1)
    return _sorted(changes.mean(axis=1, dtype=np.float64) if changes.shape[1] else np.zeros(len(changes)))


RANKINGS = Registry(
    "list",
    (
        Ranking(
            "outliers", "Outliers", "mean distance to its neighbours",
            "mean distance to the nearest neighbours in the stage's features (Ramaswamy et al. 2000)", _outliers,
        ),
        Ranking(
            "duplicates", "Near-duplicates", "likeness",
            f"pairs closer than {NEAR:.0%} of the median distance to the nearest neighbour", _duplicates,
        ),
        Ranking(
            "duplicates-across", "Near-duplicates across splits", "likeness",
            f"pairs of images of two splits closer than {NEAR:.0%} of the median distance to the nearest neighbour: a "
            "test image that a network has seen in training", _duplicates_across, ("splits",),
        ),
        Ranking(
            "label-errors", "Probable label errors", "how much surer another class is",
            "a cross-validated linear probe disagrees, by the margin beside each class's mean confidence "
            "(confident learning: Northcutt et al. 2021, arXiv:1911.00068)",
            _label_errors, ("labels", "separation"),
        ),
        Ranking(
            "hardest", "Hardest images", "confidence against the label",
            "wrong predictions by their confidence, then right ones by their lack of it", _hardest,
            ("truth", "predictions"),
        ),
        Ranking(
            "movers", "Neighbours change most", "mean share of neighbours that change",
            "share of the nearest neighbours that are others at the next stage, over all stages", _movers, ("maps",),
        ),
    ),
)  # fmt: skip
