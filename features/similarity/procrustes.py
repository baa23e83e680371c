"""The orthogonal Procrustes distance: what no rotation can bring together."""

from dataclasses import dataclass

import numpy as np

from features.similarity.hsic import centred


@dataclass(frozen=True, eq=False)
class Shape:
    """N images as points about their centre, at size 1.

    points: (N, R) float64, R at most N and D: features turned into the space that they span, with Frobenius norm 1. NaN
    if all images are one point.
    """

    points: np.ndarray

    def permuted(self, order: np.ndarray) -> "Shape":
        """The same as if they were of other images: order is (N,)."""
        return Shape(self.points[order])


def shape(features: np.ndarray) -> Shape:
    """features: (N, D), finite."""
    points = centred(features)  # (N, D)
    if points.shape[1] > len(points):
        triangle: np.ndarray = np.linalg.qr(points.T, mode="r")  # type: ignore[assignment]
        points = triangle.T  # (N, N): the same but for a rotation
    size = np.linalg.norm(points)
    return Shape(points / size if size > 0 else np.full_like(points, np.nan))


def procrustes_distance(x: Shape, y: Shape) -> float:
    """|X|^2 + |Y|^2 - 2 |X' Y|_* in [0, 2], the least squared distance over all rotations and reflections.

    Schoenemann 1966, doi:10.1007/BF02289451; between networks Ding, Denain & Steinhardt 2021, arXiv:2108.01661.
    """
    products = x.points.T @ y.points  # (R, S)
    if np.isnan(products).any():
        return float("nan")
    return max(0.0, 2 - 2 * float(np.linalg.svd(products, compute_uv=False).sum()))
