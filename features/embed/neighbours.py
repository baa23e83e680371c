"""The nearest neighbours of images by their features, exactly."""

from dataclasses import dataclass

import numpy as np

from features.errors import FeatureError


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest of N points, each point itself first.

    indices: (N, k) int32 rows; distances: (N, k) float32, Euclidean, from near to far.
    """

    indices: np.ndarray
    distances: np.ndarray


def need_finite(features: np.ndarray) -> None:
    """Raises FeatureError if values are NaN or infinite."""
    if not np.isfinite(features).all():
        raise FeatureError("The features hold NaN or infinite values, which have no neighbours. Check the weights.")


def nearest(features: np.ndarray, k: int) -> Neighbours:
    """The exact k nearest rows of every row of (N, D), itself included.

    Raises FeatureError unless 1 <= k <= N, or if values are not finite.
    """
    n_rows = len(features)
    if not 1 <= k <= n_rows:
        raise FeatureError(
            f"{k} neighbours were asked for among {n_rows} images. Choose from 1 to {n_rows}, or more images."
        )
    need_finite(features)
    rows = np.arange(n_rows)[:, None]  # (N, 1)
    return _ordered(features, np.concatenate([rows, _others(features, k - 1)], axis=1))


def _others(features: np.ndarray, k: int) -> np.ndarray:
    """The k nearest other rows of every row, in no certain order: (N, k)."""
    from sklearn.neighbors import NearestNeighbors

    if not k:
        return np.empty((len(features), 0), np.int64)
    # Compares all pairs in blocks, whose sums of products it takes in float64 without a second copy of the features.
    # 10,000 x 512 took 5 s where a matrix product and a partition of our own took 8.
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(features)
    return search.kneighbors(return_distance=False)  # without points: those that were fitted, each without itself


def _ordered(features: np.ndarray, chosen: np.ndarray) -> Neighbours:
    """The rows (N, k) that were chosen for each, itself among them, from near to far, ties by number."""
    chosen = np.sort(chosen, axis=1)
    # Taken anew from the differences: |x|^2 - 2xy + |y|^2 leaves rounding errors where duplicates are at distance 0.
    distances = np.stack(
        [
            np.linalg.norm(features[row].astype(np.float64) - features[others], axis=1)
            for row, others in enumerate(chosen)
        ]
    )  # (N, k)
    itself = chosen == np.arange(len(chosen))[:, None]  # first, duplicates or not
    order = np.argsort(np.where(itself, -1, distances), axis=1, kind="stable")
    return Neighbours(
        np.take_along_axis(chosen, order, 1).astype(np.int32),
        np.take_along_axis(distances, order, 1).astype(np.float32),
    )
