"""Representational similarity analysis: whether two networks rank pairs of images alike by their distance."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks of the distances between N images.

    values: (N, N) float64, symmetric: each pair's rank about the mean rank, over the length of all; ties share their
    mean rank. All NaN if all distances are the same.
    """

    values: np.ndarray

    def permuted(self, order: np.ndarray) -> "Ranks":
        """The same as if they were of other images: order is (N,)."""
        return Ranks(self.values[np.ix_(order, order)])


def ranks(features: np.ndarray) -> Ranks:
    """features: (N, D), finite."""
    from scipy.spatial.distance import pdist, squareform
    from scipy.stats import rankdata

    # From differences, and of features as they are: what moves them about a mean would round ties apart.
    distances = pdist(features.astype(np.float64))  # (N (N - 1) / 2,)
    values = rankdata(distances)
    values -= values.mean()
    length = np.linalg.norm(values)
    return Ranks(squareform(values / length if length > 0 else np.full_like(values, np.nan), checks=False))


def rank_correlation(x: Ranks, y: Ranks) -> float:
    """Spearman's correlation, in [-1, 1], of the distances above the diagonals."""
    return float((x.values * y.values).sum() / 2)  # both triangles hold every pair
