"""Sums over any number of values that merge: the parts of a set give what the whole gives, but for rounding.

Means travel with the sums of squares about them, in float64 (Chan, Golub & LeVeque 1983,
doi:10.1080/00031305.1983.10483115), so that a small spread about a large mean is not lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from features.engine.fast_network import cached_at_once
from features.similarity.hsic import normalised


@dataclass(frozen=True, eq=False)
class MapMoments:
    """How the values of N maps of C channels are spread over their places, (N, C) float64 each.

    mean, m2: the mean and the sum of squares about it. places: H * W.
    """

    mean: Tensor
    m2: Tensor
    places: int

    @cached_property
    def squares(self) -> Tensor:
        """(N, C) sums of squares."""
        return self.m2 + self.places * self.mean.square()

    @cached_property
    def norms(self) -> Tensor:
        """(N,) Euclidean norms over channels and places."""
        return self.squares.sum(1).sqrt()


def by_place(values: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H * W, C), a view of maps that lie channels last."""
    return values.permute(0, 2, 3, 1).flatten(1, 2)


def pieces(*maps: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Several (N, P, C) split alike into pieces that fit into a CPU's cache; whole on a GPU."""
    first = maps[0]
    size = cached_at_once(first) if first.device.type == "cpu" else len(first)
    return zip(*(values.split(size) for values in maps), strict=True)


def map_moments(values: Tensor) -> MapMoments:
    """The moments of (N, P, C) maps. Two passes: the mean first, so that squares are of what differs from it."""
    means, m2s = [], []
    for (piece,) in pieces(values):
        mean = piece.mean(1, keepdim=True)  # (n, 1, C)
        means.append(mean[:, 0])  # (n, C)
        m2s.append((piece - mean).square_().sum(1))  # (n, C)
    return MapMoments(torch.cat(means).double(), torch.cat(m2s).double(), values.shape[1])


class Moments:
    """How n values of each of C channels are spread: their mean and the sum of squares about it, (C,) float64."""

    def __init__(self, channels: int, device: torch.device) -> None:
        self.n = 0
        self.mean = torch.zeros(channels, dtype=torch.float64, device=device)
        self.m2 = torch.zeros_like(self.mean)

    def add(self, maps: MapMoments) -> None:
        mean = maps.mean.mean(0)  # (C,)
        m2 = maps.m2.sum(0) + maps.places * (maps.mean - mean).square().sum(0)  # (C,): within maps, and between them
        self._merge(len(maps.mean) * maps.places, mean, m2)

    def merge(self, other: "Moments") -> None:
        self._merge(other.n, other.mean.to(self.mean.device), other.m2.to(self.mean.device))

    def _merge(self, n: int, mean: Tensor, m2: Tensor) -> None:
        if not n:
            return
        whole, delta = self.n + n, mean - self.mean
        self.m2 = self.m2 + m2 + delta.square() * (self.n * n / whole)
        self.mean = self.mean + delta * (n / whole)
        self.n = whole

    @property
    def variance(self) -> Tensor:
        """(C,) of the n values, not corrected for their number."""
        return self.m2 / max(1, self.n)


class Comoments:
    """How n pairs of vectors (D,) and (E,) vary together: the sum of products about their means, (D, E) float64."""

    def __init__(self, width: int, other_width: int, device: torch.device) -> None:
        self.n = 0
        self.mean = torch.zeros(width, dtype=torch.float64, device=device)
        self.other_mean = torch.zeros(other_width, dtype=torch.float64, device=device)
        self.products = torch.zeros(width, other_width, dtype=torch.float64, device=device)

    def add(self, x: Tensor, y: Tensor) -> None:
        """x: (N, D), y: (N, E), both float64."""
        mean, other_mean = x.mean(0), y.mean(0)
        self._shift(len(x), mean, other_mean)
        self.products.addmm_((x - mean).T, y - other_mean)

    def merge(self, other: "Comoments") -> None:
        device = self.products.device
        self._shift(other.n, other.mean.to(device), other.other_mean.to(device))
        self.products += other.products.to(device)

    def _shift(self, n: int, mean: Tensor, other_mean: Tensor) -> None:
        """Take up how n further pairs lie as a whole."""
        if not n:
            return
        whole, delta, other_delta = self.n + n, mean - self.mean, other_mean - self.other_mean
        self.products.addr_(delta, other_delta, alpha=self.n * n / whole)
        self.mean = self.mean + delta * (n / whole)
        self.other_mean = self.other_mean + other_delta * (n / whole)
        self.n = whole

    @property
    def size(self) -> float:
        """The Frobenius norm of the products."""
        return float(self.products.norm())

    @property
    def participation_ratio(self) -> float:
        """Of a vector with itself, the effective number of directions in which it varies, from 1 to D.

        The squared sum of the covariance's eigenvalues over the sum of their squares; NaN if nothing varies.
        """
        size = self.size
        return float(self.products.trace()) ** 2 / size**2 if size > 0 else float("nan")


def linear_cka(together: Comoments, x: Comoments, y: Comoments) -> float:
    """Linear centred kernel alignment, in [0, 1], of two sets of features of the same images.

    together: of x with y; x, y: of each with itself. Biased upwards unless images well outnumber the features'
    widths (Kornblith et al. 2019, arXiv:1905.00414). NaN if either is constant.
    """
    return normalised(together.size**2, x.size**2, y.size**2)
