"""The Hilbert-Schmidt independence criterion of linear kernels, and CKA as its normalised form.

With centred features X (N, D), Y (N, E) and the kernels K = X X', L = Y Y' all that is needed is the sum over K * L,
which equals |X' Y|^2, and the kernels' diagonals: rows of centred kernels sum to zero, so that those of K without its
diagonal, on which HSIC_1 is built, sum to the diagonal with its sign turned. No matrix N x N is made where D is
smaller.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

Numbers = TypeVar("Numbers", float, np.ndarray)
ROUNDING = 1e-13  # share of the sums that cancel, below which what is left is rounding
LEAST_IMAGES = 4  # HSIC_1 divides by N (N - 3)


@dataclass(frozen=True, eq=False)
class Side:
    """One network's features of N images as linear kernels need them: as features where D < N, else as a kernel.

    features: (N, D) float64, centred, or None; kernel: (N, N) float64 of centred features, or None.
    lengths: (N,) float64, the kernel's diagonal.
    """

    features: np.ndarray | None
    kernel: np.ndarray | None
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def own(self) -> float:
        """The overlap with itself, which every comparison of this side needs."""
        return overlap(self, self)

    def permuted(self, order: np.ndarray) -> "Side":
        """The same features as if they were of other images: order is (N,)."""
        features = None if self.features is None else self.features[order]
        kernel = None if self.kernel is None else self.kernel[np.ix_(order, order)]
        return Side(features, kernel, self.lengths[order])


def centred(features: np.ndarray) -> np.ndarray:
    """(N, D) float64 about their mean; exactly zero where a column is constant."""
    values = features.astype(np.float64)
    values -= values[0].copy()  # the mean of equal numbers may be another number by rounding
    values -= values.mean(axis=0)
    return values


def side(features: np.ndarray) -> Side:
    """features: (N, D), finite."""
    values = centred(features)
    lengths = np.square(values).sum(axis=1)  # (N,)
    n_images, width = values.shape
    return Side(values, None, lengths) if width < n_images else Side(None, values @ values.T, lengths)


def overlap(x: Side, y: Side) -> float:
    """The sum over the product of both kernels, |X' Y|^2, by the smaller matrices."""
    if x.kernel is not None and y.kernel is not None:
        return float((x.kernel * y.kernel).sum())
    if x.features is not None and y.features is not None:
        return float(np.square(x.features.T @ y.features).sum())
    features, kernel = (x.features, y.kernel) if y.features is None else (y.features, x.kernel)
    assert features is not None  # one side has either
    assert kernel is not None
    return float(((kernel @ features) * features).sum())


def biased(overlap: Numbers, n_images: int) -> Numbers:
    """HSIC_0 = tr(K H L H) / (N - 1)^2 (Gretton et al. 2005, doi:10.1007/11564089_7), of centred kernels' overlap."""
    return overlap / (n_images - 1) ** 2


def unbiased(overlap: Numbers, paired: Numbers, totals: Numbers, n_images: int) -> Numbers:
    """HSIC_1 (Song et al. 2012, JMLR 13:1393), whose mean over samples of any size is the population's value.

    paired: the sum over both diagonals' product. totals: the product of both diagonals' sums. With K~ = K without its
    diagonal: tr(K~ L~) = overlap - paired, 1'K~1 1'L~1 = totals, 1'K~ L~1 = paired.
    """
    n = n_images
    left = overlap - paired + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * paired
    size = np.abs(overlap) + paired
    return left * (np.abs(left) > ROUNDING * size) / (n * (n - 3))


def normalised(both: float, one: float, other: float) -> float:
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), which is CKA; NaN where either does not vary.

    The root of each by itself: the product of two may be beyond what a number can hold.
    """
    sizes = float(np.sqrt(max(one, 0.0)) * np.sqrt(max(other, 0.0)))
    return both / sizes if sizes > 0 else float("nan")


def unbiased_cka(x: Side, y: Side) -> float:
    """Linear CKA by HSIC_1, in [-1, 1]: about 0 for what has nothing in common, also where N < D."""
    both = _unbiased(overlap(x, y), x, y)
    return normalised(both, _unbiased(x.own, x, x), _unbiased(y.own, y, y))


def biased_cka(x: Side, y: Side) -> float:
    """Linear CKA by HSIC_0, in [0, 1] (Kornblith et al. 2019, arXiv:1905.00414): near 1 for anything where N < D."""
    return normalised(overlap(x, y), x.own, y.own)  # (N - 1)^2 cancels


def _unbiased(together: float, x: Side, y: Side) -> float:
    totals = float(x.lengths.sum() * y.lengths.sum())
    return unbiased(together, float(x.lengths @ y.lengths), totals, len(x))
