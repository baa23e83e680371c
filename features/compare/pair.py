"""Two of the networks: where they agree, of which images one is better, and how alike their blocks are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.compare.agreement import Agreement, agreement
from features.compare.contender import Contender, layers_of
from features.compare.slices import LEAST_IMAGES, LEVEL, Compared, Slice, compared, holm
from features.engine import POOLED
from features.progress import Task
from features.similarity import Batching, Similarity, streamed

MOST_CONFUSED = 12  # pairs of classes that are looked at
CONFUSED, CLUSTER = "one of two classes", "cluster"
SEPARATED = 30  # dimensions in which clusters are looked for
MOST_CLUSTERS = 12


@dataclass(frozen=True, eq=False)
class Pair:
    """Two of the networks.

    first, second: their names. similarity: unbiased CKA of every block with every other. p_value: of McNemar's test,
    corrected for the number of pairs (Holm 1979).
    """

    first: str
    second: str
    agreement: Agreement
    slices: tuple[Compared, ...]
    similarity: Similarity
    p_value: float

    @property
    def differs(self) -> bool:
        """Whether their accuracies differ by more than what chance brings about among so many pairs."""
        return self.p_value < LEVEL


def pair(first: Contender, second: Contender, ids: Sequence[str], cut: Sequence[Slice], seed: int) -> Task[Pair]:
    """Two networks on the same N images. cut: the slices of these that all pairs share. As of one pair alone."""
    same = first.predictions.same(second.predictions)
    chosen = [*cut, *confusions(first, second)]
    told = compared(chosen, first.correct, second.correct)
    ours, others = (layers_of(each, ids, each.blocks) for each in (first, second))
    alike = yield from streamed(ours, others, Batching(seed=seed))
    counted = agreement(first.correct, second.correct, same)
    return Pair(first.name, second.name, counted, tuple(told), alike, counted.p_value)


def corrected(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs with p values corrected for their number."""
    p_values = holm([each.agreement.p_value for each in pairs])
    return tuple(replace(each, p_value=p_value) for each, p_value in zip(pairs, p_values, strict=True))


def confusions(first: Contender, second: Contender) -> list[Slice]:
    """The images of those two classes that both networks together take for each other most often.

    Which network does so is left out of the choice, so that it favours neither.
    """
    truth = first.evaluation.truth
    if truth.ndim == 2:
        return []
    names = first.evaluation.class_names
    mistaken = first.evaluation.confusion + second.evaluation.confusion
    mistaken = np.triu(mistaken + mistaken.T, 1)
    order = np.argsort(-mistaken, axis=None, kind="stable")[:MOST_CONFUSED]
    chosen = []
    for one, other in zip(*np.unravel_index(order, mistaken.shape), strict=True):
        rows = np.flatnonzero((truth == one) | (truth == other))
        if mistaken[one, other] and LEAST_IMAGES <= len(rows) < len(truth):
            chosen.append(Slice(CONFUSED, f"{names[one]} or {names[other]}", rows))
    return chosen


def clusters(told: Contender, n_images: int, seed: int) -> np.ndarray:
    """(N,) objects, the cluster of each image among the features before a network's classifier; None where it was not
    read for them.

    By k-means on principal components, of about as many clusters as there are classes, 12 at most.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    numbers = np.full(n_images, None, dtype=object)
    features = np.asarray(told.layers[POOLED], np.float32)
    count = min(MOST_CLUSTERS, len(np.unique(told.predictions.predicted)), len(features) // LEAST_IMAGES)
    if count < 2 or (features == features[0]).all():
        return numbers
    width = min(SEPARATED, *features.shape)
    reducer = PCA(width, svd_solver="randomized" if width < min(features.shape) else "full", random_state=seed)
    labels = KMeans(count, n_init=4, random_state=seed).fit_predict(reducer.fit_transform(features))
    numbers[told.rows] = [f"{label + 1}" for label in labels]
    return numbers
