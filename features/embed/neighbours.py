"""The nearest neighbours of images by their features, exactly."""

from dataclasses import dataclass

import numpy as np

from features.errors import FeatureError

ROWS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest of N points, each point itself first.

    indices: (N, k) int32 rows; distances: (N, k) float32, Euclidean, from near to far.
    """

    indices: np.ndarray
    distances: np.ndarray


def nearest(features: np.ndarray, k: int) -> Neighbours:
    """The exact k nearest rows of every row of (N, D), itself included, by matrix product.

    Raises FeatureError unless 1 <= k <= N, or if values are not finite.
    """
    n_rows = len(features)
    if not 1 <= k <= n_rows:
        raise FeatureError(
            f"{k} neighbours were asked for among {n_rows} images. Choose from 1 to {n_rows}, or more images."
        )
    if not np.isfinite(features).all():
        raise FeatureError("The features hold NaN or infinite values, which have no neighbours. Check the weights.")
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)  # smaller numbers, less cancellation
    squares = (centred**2).sum(1)  # (N,)
    indices = np.empty((n_rows, k), dtype=np.int32)
    distances = np.empty((n_rows, k), dtype=np.float32)
    for start in range(0, n_rows, ROWS_AT_ONCE):
        part = slice(start, min(start + ROWS_AT_ONCE, n_rows))
        squared = squares[part, None] + squares[None] - 2 * centred[part] @ centred.T  # (R, N)
        rows = np.arange(part.start, part.stop)  # (R,)
        squared[np.arange(len(rows)), rows] = -np.inf  # a point is its own nearest, duplicates or not
        chosen = np.argpartition(squared, k - 1, axis=1)[:, :k]  # (R, k)
        indices[part], distances[part] = _ordered(centred, rows, chosen)
    return Neighbours(indices, distances)


def _ordered(features: np.ndarray, rows: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The neighbours (R, k) of R rows from near to far, the row itself first, ties by index; and how far they are."""
    chosen = np.sort(chosen, axis=1)
    # Taken anew from the differences: the matrix product leaves rounding errors where duplicates are at distance 0.
    distances = np.stack(
        [np.linalg.norm(features[row] - features[near], axis=1) for row, near in zip(rows, chosen, strict=True)]
    )
    order = np.argsort(np.where(chosen == rows[:, None], -1, distances), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, 1), np.take_along_axis(distances, order, 1)
