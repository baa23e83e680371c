"""How far to trust a map of features."""

import numpy as np

from features.embed.neighbours import nearest

TRUST_LIMIT = 5000
ROWS_AT_ONCE = 512


def trust(features: np.ndarray, points: np.ndarray, k: int, seed: int = 0) -> tuple[float, float]:
    """Trustworthiness and the share of kept neighbours of a map, over at most 5,000 of its points.

    Both follow from one question: the how manieth nearest in the features (N, D) is each of a point's k neighbours on
    the map (N, 2). It is kept if it is among the k nearest; if not, it costs trust by as much as it is beyond them
    (Venna & Kaski 2001, doi:10.1007/3-540-44668-0_68).
    """
    if len(features) > TRUST_LIMIT:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(features))[:TRUST_LIMIT])
        features, points = features[chosen], points[chosen]
    n = len(features)
    k = max(1, min(k, (n - 1) // 2))  # the scale of trustworthiness is defined for k < N / 2
    ranks = _ranks(features, nearest(points, k + 1).indices[:, 1:])  # (N, k)
    beyond = np.maximum(ranks - k, 0).sum()
    return float(1 - beyond * 2 / (n * k * (2 * n - 3 * k - 1))), float((ranks <= k).mean())


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
            values.sort()
            ranks[row] = np.searchsorted(values, wanted)
    return ranks
