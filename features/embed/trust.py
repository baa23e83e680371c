"""How far to trust a map of features: as a whole, and at each of its points."""

from dataclasses import dataclass

import numpy as np

from features.neighbours.exact import Exact
from features.neighbours.neighbours import Neighbours

RANKED_ROWS = 5000  # of which ranks are taken: all pairs are compared for that
ROWS_AT_ONCE = 512
SCORED_NEIGHBOURS = 15


@dataclass(frozen=True, eq=False)
class Trust:
    """How much of a map (N, 2) is so in the features (N, D).

    trustworthiness: in [0, 1], 1 when no false neighbours appear on the map; continuity: 1 when no true ones are torn
        apart (Venna & Kaski 2001, doi:10.1007/3-540-44668-0_68); both of `ranked` points, 5,000 at most.
    points: (N,) float32 in [0, 1], the share of each point's neighbours on the map that are its neighbours in the
        features. recall: their mean. Both over k neighbours, without the point itself.
    graph_recall: the share of true neighbours that the graph of neighbours holds, 1 where all pairs were compared.
    """

    trustworthiness: float
    continuity: float
    recall: float
    points: np.ndarray
    k: int
    ranked: int
    graph_recall: float

    def scores(self) -> dict[str, float]:
        """The scores of the whole map, as they stand in files."""
        return {
            "trustworthiness": self.trustworthiness,
            "continuity": self.continuity,
            "recall": self.recall,
            "graph_recall": self.graph_recall,
        }


def trust(features: np.ndarray, points: np.ndarray, graph: Neighbours, seed: int = 0) -> Trust:
    """How far to trust a map (N, 2) of features (N, D) over the neighbours of a graph, 15 of each at most.

    Of more than 5,000 points the two scores that need ranks are those of a part, drawn with the seed.
    """
    # Both scales are defined for k < N / 2; of nearly all others as neighbours nearly all would be kept by chance.
    k = max(1, min(SCORED_NEIGHBOURS, graph.k - 1, (len(features) - 1) // 2))
    kept = _kept(features, points, graph, k)
    if len(features) > RANKED_ROWS:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(features))[:RANKED_ROWS])
        features, points = features[chosen], points[chosen]
    return Trust(
        trustworthiness=_unbroken(features, points, k),
        continuity=_unbroken(points, features, k),
        recall=float(kept.mean()),
        points=kept,
        k=k,
        ranked=len(features),
        graph_recall=graph.recall,
    )


def _kept(features: np.ndarray, points: np.ndarray, graph: Neighbours, k: int) -> np.ndarray:
    """(N,) the share of each point's k neighbours on the map that are no farther in the features than its k nearest."""
    others = _on_the_map(points, k)  # (N, k)
    limit = graph.distances[:, k].astype(np.float64) * (1 + 1e-6)  # which was rounded
    kept = np.empty(len(features), np.float32)
    for start in range(0, len(features), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        gaps = features[others[rows]].astype(np.float64) - features[rows, None]  # (R, k, D)
        kept[rows] = (np.sqrt(np.square(gaps).sum(axis=2)) <= limit[rows, None]).mean(axis=1)
    return kept


def _on_the_map(points: np.ndarray, k: int) -> np.ndarray:
    """The k nearest other points (N, k) of every point, copies of it too."""
    from scipy.spatial import KDTree

    _, indices = KDTree(points).query(points, k + 1)  # (N, k + 1)
    indices = np.asarray(indices).reshape(len(points), k + 1)
    own = indices == np.arange(len(points))[:, None]
    own[~own.any(axis=1), -1] = True  # among many copies a point may miss itself: leave out the farthest
    return indices[~own].reshape(len(points), k)


def _unbroken(features: np.ndarray, points: np.ndarray, k: int) -> float:
    """1 less the ranks by which the k nearest at `points` (N, E) are beyond the k nearest by `features` (N, D)."""
    n_rows = len(features)
    nearest = Exact(points).nearest(points, k + 1, np.arange(n_rows))[0][:, 1:]  # (N, k)
    beyond = np.maximum(_ranks(features, nearest) - k, 0).sum()
    return float(1 - beyond * 2 / (n_rows * k * (2 * n_rows - 3 * k - 1)))


def _ranks(features: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The rank, 1 for the nearest, of rows (N, k) by their distance from each of N rows of features: (N, k).

    Points at one distance have one rank, that of the first of them.
    """
    from sklearn.metrics.pairwise import euclidean_distances

    ranks = np.empty(others.shape, np.int64)
    for start in range(0, len(features), ROWS_AT_ONCE):
        distances = euclidean_distances(features[start : start + ROWS_AT_ONCE], features)  # (R, N)
        for row, values in enumerate(distances, start):
            wanted = values[others[row]]  # (k,)
            values[row] = -1  # the point itself has rank 0
            ranks[row] = np.count_nonzero(values < wanted[:, None], axis=1)  # of few, that is less than to sort all
    return ranks
