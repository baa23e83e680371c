"""Clusters of a map."""

import numpy as np


def clusters(points: np.ndarray, least: int = 15) -> np.ndarray:
    """(N,) int64, the number of each point's cluster from the largest, -1 for a point in none.

    points: (N, 2). least: points of a cluster. By density at every scale (HDBSCAN: Campello et al. 2013,
    doi:10.1007/978-3-642-37456-2_14).
    """
    from sklearn.cluster import HDBSCAN

    if len(points) < 2 * least or (points == points[0]).all():
        return np.full(len(points), -1, np.int64)
    labels = HDBSCAN(min_cluster_size=least, copy=True).fit_predict(points.astype(np.float64))
    if labels.max() < 0:
        return labels.astype(np.int64)
    by_size = np.argsort(-np.bincount(labels[labels >= 0]), kind="stable")
    numbers = np.argsort(by_size, kind="stable")
    return np.where(labels < 0, -1, numbers[labels]).astype(np.int64)
