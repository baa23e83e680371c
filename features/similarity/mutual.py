"""Mutual nearest neighbours: how many of an image's neighbours in one network are its neighbours in the other."""

from dataclasses import dataclass

import numpy as np

from features.neighbours import nearest
from features.similarity.hsic import centred

NEIGHBOURS = 10  # as in Huh et al. 2024


@dataclass(frozen=True, eq=False)
class Nearest:
    """others: (N, k) int64, each image's k nearest other images; -1 throughout if all images are one point."""

    others: np.ndarray

    def permuted(self, order: np.ndarray) -> "Nearest":
        """The same as if they were of other images: row i becomes what row order[i] is."""
        new = np.argsort(order)  # (N,): the row at which each comes to lie
        return Nearest(np.where(self.others < 0, -1, new[self.others])[order])


def neighbourhoods(features: np.ndarray) -> Nearest:
    """features: (N, D), finite, of at least 2 images. Of few images all but one other are neighbours at most."""
    k = min(NEIGHBOURS, max(1, len(features) - 2))
    if (features == features[0]).all():
        return Nearest(np.full((len(features), k), -1))
    # About the mean, because float32 far from the origin would not tell images apart.
    graph = nearest(centred(features).astype(np.float32), k + 1)
    return Nearest(graph.indices[:, 1:].astype(np.int64))  # without the image itself


def shared_neighbours(x: Nearest, y: Nearest) -> float:
    """The mean share in [0, 1] of an image's k neighbours that both have; k / (N - 1) by chance.

    Huh et al. 2024, arXiv:2405.07987.
    """
    if (x.others < 0).any() or (y.others < 0).any():
        return float("nan")
    shared = (x.others[:, :, None] == y.others[:, None, :]).any(axis=2)  # (N, k)
    return float(shared.mean())
