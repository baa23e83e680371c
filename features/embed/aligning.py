"""Turns, mirrors, moves and scales one map of images to lie on another, which changes no neighbour."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Similarity:
    """Points (N, 2) about a centre are turned, scaled, and moved to another centre.

    centre, new_centre: (2,) float64. turn: (2, 2) float64, orthogonal. scale: above 0.
    """

    centre: np.ndarray
    turn: np.ndarray
    scale: float
    new_centre: np.ndarray

    def of(self, points: np.ndarray) -> np.ndarray:
        """Where points (N, 2) come to lie: (N, 2) float32. What is answered of a point depends on that point alone."""
        centred = points - self.centre  # (N, 2) float64
        # No matrix product: that of many rows at once rounds otherwise than that of one.
        turned = centred[:, :1] * self.turn[0] + centred[:, 1:] * self.turn[1]  # (N, 2)
        return (turned * self.scale + self.new_centre).astype(np.float32)


def similarity(points: np.ndarray, onto: np.ndarray) -> Similarity:
    """What lays a map (N, 2) as nearly as can be on another (N, 2) of the same images.

    The least squares fit (orthogonal Procrustes: Schoenemann 1966, doi:10.1007/BF02289451) of both about their centres,
    at the other's size. Where all points of either are one, they stay where they are.
    """
    from scipy.linalg import orthogonal_procrustes

    here, there = points.mean(axis=0, dtype=np.float64), onto.mean(axis=0, dtype=np.float64)
    centred, wanted = points - here, onto - there  # (N, 2) float64
    sizes = float(np.linalg.norm(centred)), float(np.linalg.norm(wanted))
    if not all(sizes):
        return Similarity(np.zeros(2), np.eye(2), 1.0, np.zeros(2))
    turn, _ = orthogonal_procrustes(centred, wanted)  # (2, 2)
    return Similarity(here, turn, sizes[1] / sizes[0], there)


def aligned(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """A map (N, 2), turned, mirrored, moved and scaled by one factor to fit another (N, 2): by `similarity`."""
    return similarity(points, onto).of(points)
