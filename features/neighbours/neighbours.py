"""The nearest neighbours of images by their features: exactly, or of very many by an index whose recall is measured."""

import hashlib
from dataclasses import dataclass

import numpy as np

from features.errors import FeatureError
from features.neighbours.exact import QUERIES, Exact
from features.progress import Progress, Task, finish

EXACT_ROWS = 20_000  # up to here all pairs are compared: 20,000 x 512 in some ten seconds on two cores
GPU_ROWS = 5_000  # below which a CPU is done before a GPU is awake
RECALL_ROWS = 500  # whose neighbours are looked for exactly to measure an index's recall
LARGEST = 1e15  # of a value: the squared distances of a million of them stay below 3e38
FEW_COPIES = 0.9  # share of rows that differ, above which copies are no burden


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest of N points, each point itself first.

    indices: (N, k) int32 rows; distances: (N, k) float32, Euclidean, from near to far.
    recall: share in [0, 1] of the true neighbours that these are; 1 where all pairs were compared, else of a sample.
    """

    indices: np.ndarray
    distances: np.ndarray
    recall: float = 1.0

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def k(self) -> int:
        """How many neighbours each point has, itself among them."""
        return self.indices.shape[1]

    def first(self, k: int) -> "Neighbours":
        """The k nearest alone. k is at most this one's."""
        return Neighbours(self.indices[:, :k], self.distances[:, :k], self.recall)


def need_finite(features: np.ndarray) -> None:
    """Raises FeatureError if values are NaN, infinite, or so large that a distance between rows might be."""
    if not np.isfinite(features).all():
        raise FeatureError("The features hold NaN or infinite values, which have no neighbours. Check the weights.")
    if features.size and max(float(features.max()), -float(features.min())) > LARGEST:
        raise FeatureError(
            f"The features hold values beyond {LARGEST:.0e}, whose squares are no numbers of 32 bits. Check the "
            "weights, or scale them."
        )


def nearest(features: np.ndarray, k: int, seed: int = 0) -> Neighbours:
    """As `search`, at once."""
    return finish(search(features, k, seed))


def search(features: np.ndarray, k: int, seed: int = 0) -> Task[Neighbours]:
    """The k nearest rows of every row of (N, D), itself included: exact to 20,000 rows, by an index above.

    Where there is a GPU they are exact to two million rows of 1,000 values. seed: of the index.
    Raises FeatureError unless 1 <= k <= N, or if values are not finite.
    """
    n_rows = len(features)
    if not 1 <= k <= n_rows:
        raise FeatureError(
            f"{k} neighbours were asked for among {n_rows} images. Choose from 1 to {n_rows}, or more images."
        )
    need_finite(features)
    kind = _exact_kind(*features.shape)
    if kind is None:
        yield Progress(0, n_rows, "image", "neighbours")
        return _by_index(features, k, seed)
    first, group = _distinct(features)  # (U,), (N,)
    if len(first) > FEW_COPIES * n_rows:
        return (yield from _exactly(kind(features), k))
    of_distinct = yield from _exactly(kind(features[first]), min(k, len(first)))
    return _with_copies(of_distinct.indices, of_distinct.distances, group, k)


def _exact_kind(n_rows: int, width: int) -> type[Exact] | None:
    """What compares all pairs of so many rows; None where an index has to do."""
    if n_rows >= GPU_ROWS:
        from features.neighbours import exact_gpu  # and with it PyTorch, which takes a second or two

        if exact_gpu.takes(n_rows, width):
            return exact_gpu.ExactOnGpu
    return Exact if n_rows <= EXACT_ROWS else None


def _exactly(search: Exact, k: int) -> Task[Neighbours]:
    features = search.features
    indices, distances = np.empty((len(features), k), np.int32), np.empty((len(features), k), np.float32)
    for start in range(0, len(features), QUERIES):
        yield Progress(start, len(features), "image", "neighbours")
        rows = np.arange(start, min(start + QUERIES, len(features)))
        indices[rows], distances[rows] = search.nearest(features[rows], k, rows)
    return Neighbours(indices, distances)


def _distinct(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows (U,) at which another value comes for the first time, and which of these each row (N,) is like."""
    seen: dict[bytes, int] = {}
    digests = (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in features)
    group = np.array([seen.setdefault(digest, len(seen)) for digest in digests])  # (N,)
    return np.unique(group, return_index=True)[1], group


def _with_copies(indices: np.ndarray, distances: np.ndarray, group: np.ndarray, k: int) -> Neighbours:
    """The neighbours of rows of which many are alike, from those of the U rows that differ.

    indices, distances: (U, K), of these. group: (N,) which of them each row is like.
    """
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(group))[:-1])
    nearest, far = np.empty((len(group), k), np.int32), np.empty((len(group), k), np.float32)
    for value, rows in enumerate(members):
        numbers = np.concatenate([members[other] for other in indices[value]])
        lengths = np.repeat(distances[value], [len(members[other]) for other in indices[value]])
        by_distance = np.lexsort((numbers, lengths))[: k + 1]
        numbers, lengths = numbers[by_distance], lengths[by_distance]
        for row in rows:
            others = numbers != row
            nearest[row] = [row, *numbers[others][: k - 1]]
            far[row] = [0, *lengths[others][: k - 1]]
    return Neighbours(nearest, far)


def _by_index(features: np.ndarray, k: int, seed: int) -> Neighbours:
    """By descent to neighbours of neighbours (Dong et al. 2011, doi:10.1145/1963405.1963487)."""
    from pynndescent import NNDescent  # compiles for seconds

    index = NNDescent(features, n_neighbors=k, random_state=seed, low_memory=True, compressed=False)
    indices, distances = index.neighbor_graph  # (N, k) each
    indices, distances = _itself_first(np.array(indices, np.int32), np.array(distances, np.float32))
    sample = np.sort(np.random.default_rng(seed).permutation(len(features))[:RECALL_ROWS])
    return Neighbours(indices, distances, _recall(features, indices, distances, sample))


def _itself_first(indices: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with each row at the head of its own neighbours, which the index forgets where a row has copies."""
    own = np.arange(len(indices))[:, None]  # (N, 1)
    lost = ~(indices == own).any(axis=1)  # in the place of the farthest
    indices[lost, -1], distances[lost, -1] = own[lost, 0], 0
    order = np.argsort(np.where(indices == own, -1, distances), axis=1, kind="stable")
    return np.take_along_axis(indices, order, 1), np.take_along_axis(distances, order, 1)


def _recall(features: np.ndarray, indices: np.ndarray, distances: np.ndarray, sample: np.ndarray) -> float:
    """The share of true neighbours of a sample (S,) of rows; a copy of the farthest is as good as that."""
    k = indices.shape[1]
    if k == 1:
        return 1.0
    _, true = Exact(features).nearest(features[sample], k, sample)  # (S, k)
    return float((distances[sample, 1:] <= true[:, -1:] * (1 + 1e-5)).mean())
