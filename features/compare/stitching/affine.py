"""Fits one network's maps to another's position by position: a 1x1 convolution by least squares, from sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

# Shares of the mean variance of a channel. The sums come of float32 products, whose rounding is about as large as 1e-6.
RIDGES = (1.0, 1e-1, 1e-2, 1e-3, 1e-5)
# A share of the mean variance too: half of the least ridge, which is above the rounding and enough for any channels.
LEAST_EIGENVALUE = min(RIDGES) / 2
START_VECTORS, ITERATIONS = 4, 8  # of the inverse iteration, which costs little beside a factorisation
CHANNELS_TRIED = 64  # outputs on which ridges are tried


def as_positions(maps: Tensor) -> Tensor:
    """(N, C, H, W) -> (N H W, C), without a copy where channels come last in memory."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])  # (P, C)


@dataclass(frozen=True, eq=False)
class Affine:
    """y = x @ weight + bias. weight: (C, C') float32, bias: (C',) float32. ridge: the share that it was fitted with."""

    weight: Tensor
    bias: Tensor
    ridge: float

    def __call__(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H, W), channels last."""
        n, _, height, width = maps.shape
        mapped = torch.addmm(self.bias, as_positions(maps).float(), self.weight)  # (N H W, C')
        return mapped.view(n, height, width, -1).permute(0, 3, 1, 2)  # (N, C', H, W)

    def to(self, device: torch.device) -> "Affine":
        return Affine(self.weight.to(device), self.bias.to(device), self.ridge)


@dataclass(frozen=True, eq=False)
class Spread:
    """How one side of P positions lies about its mean: mean (C,), covariance (C, C), both float64."""

    mean: Tensor
    covariance: Tensor


class Sums:
    """Sums over positions of what two networks put out there, from which either is fitted to the other.

    Products are made in the precision of the maps, batch by batch, about an origin near the mean, and added in float64:
    memory does not grow with the images.
    """

    def __init__(self, first: Tensor, second: Tensor) -> None:
        """first: (P, C), second: (P, C') of some positions, whose means become the origin. None of them is added."""
        self.origins = first.mean(0), second.mean(0)
        self.n = 0
        zeros = partial(torch.zeros, dtype=torch.float64, device=first.device)
        widths = first.shape[1], second.shape[1]
        self._sums = [zeros(width) for width in widths]
        self._squares = [zeros((width, width)) for width in widths]
        self._products = zeros(widths)

    def like(self) -> "Sums":
        """Empty ones about the same origin."""
        return Sums(*(origin[None] for origin in self.origins))

    def add(self, first: Tensor, second: Tensor) -> None:
        """first: (P, C) and second: (P, C') of the same positions."""
        sides = [values - origin for values, origin in zip((first, second), self.origins, strict=True)]
        self.n += len(first)
        for values, sums, squares in zip(sides, self._sums, self._squares, strict=True):
            sums += values.sum(0, dtype=torch.float64)
            squares += values.T @ values
        self._products += sides[0].T @ sides[1]

    def take_in(self, other: "Sums") -> None:
        """Add what others hold about the same origin."""
        self.n += other.n
        for mine, others in zip((*self._sums, *self._squares), (*other._sums, *other._squares), strict=True):
            mine += others
        self._products += other._products

    @property
    def is_finite(self) -> tuple[bool, bool]:
        """Of each side, whether it held neither NaN nor infinite values."""
        one, other = (bool(values.isfinite().all()) for values in self._sums)
        return one, other

    def spread(self, side: int) -> Spread:
        """Of the first side (0) or the second (1), about the origin."""
        mean = self._sums[side] / self.n
        return Spread(mean, self._squares[side] / self.n - mean[:, None] * mean)

    def fits(self, giver: int, ridges: Sequence[float], outputs: slice = slice(None)) -> list[Affine]:
        """The least squares fit of one side to the other for each ridge, weights and bias in float64, about the origin.

        giver: 0 to fit the first side to the second, 1 for the other way. ridges: shares of a channel's mean variance
        that are added to each variance, so that channels that hardly vary, or more channels than positions, bear it.
        outputs: of the fitted side's channels. A ridge is left out at which the solution would be one of rounding:
        where the least eigenvalue of the covariance with it is below LEAST_EIGENVALUE of the mean variance, as of
        channels that are equal or sums of others.
        """
        known, wanted = self.spread(giver), self._sums[1 - giver][outputs] / self.n  # (C'',)
        products = (self._products if giver == 0 else self._products.T)[:, outputs] / self.n  # (C, C'')
        covariance = products - known.mean[:, None] * wanted  # (C, C'')
        scale = float(known.covariance.diagonal().mean())
        if scale <= 0:  # constant: nothing is told but the mean
            return [Affine(torch.zeros_like(covariance), wanted, ridges[0])]
        fits = []
        for ridge in ridges:
            raised = known.covariance.clone()
            raised.diagonal().add_(ridge * scale)
            factor, failed = torch.linalg.cholesky_ex(raised)
            if not failed and least_eigenvalue(factor) >= LEAST_EIGENVALUE * scale:
                weight = torch.cholesky_solve(covariance, factor)  # (C, C'')
                fits.append(Affine(weight, wanted - known.mean @ weight, ridge))
        return fits

    def error(self, fit: Affine, giver: int, outputs: slice = slice(None)) -> float:
        """The sum of squared differences that a fit of `fits` leaves over these positions."""
        known = self._squares[giver] @ fit.weight  # (C, C'')
        products = (self._products if giver == 0 else self._products.T)[:, outputs]
        sums, wanted = self._sums[giver] @ fit.weight, self._sums[1 - giver][outputs]  # (C'',) each
        quadratic = (fit.weight * (known - 2 * products)).sum() + self._squares[1 - giver].diagonal()[outputs].sum()
        return float(quadratic + (fit.bias * (2 * sums - 2 * wanted + self.n * fit.bias)).sum())

    def absolute(self, fit: Affine, giver: int) -> Affine:
        """A fit about the origin as one of the values themselves, in float32."""
        origin, target = self.origins[giver].double(), self.origins[1 - giver].double()
        bias = fit.bias + target - origin @ fit.weight
        return Affine(fit.weight.float(), bias.float(), fit.ridge)


def least_eigenvalue(factor: Tensor) -> float:
    """The least eigenvalue of a positive definite matrix, by inverse iteration: never less but for rounding.

    factor: (C, C), the lower one of Cholesky. Each iteration costs two triangular solutions. Where the least one is far
    below the next, the first iterations find it; where it is not, they end between the two.
    """
    random = torch.Generator().manual_seed(0)  # of a fixed direction, such as ones, equal channels would have no part
    vectors = torch.randn((len(factor), START_VECTORS), generator=random, dtype=factor.dtype).to(factor.device)
    size = torch.ones(START_VECTORS, dtype=factor.dtype, device=factor.device)
    for _ in range(ITERATIONS):
        vectors = torch.cholesky_solve(vectors / torch.linalg.vector_norm(vectors, dim=0), factor)  # (C, vectors)
        size = torch.linalg.vector_norm(vectors, dim=0)
    return 1 / float(size.max())


def best_ridge(fitted: Sums, held: Sums, giver: int, ridges: Sequence[float] = RIDGES) -> float:
    """The ridge whose fit to some positions is nearest at others, `held`, tried on some of the outputs.

    ridges: from the largest on, until a smaller one is worse: each costs the solution of a system of all channels.
    Where positions are about as many as channels, least squares by itself follows the noise and is far off elsewhere.
    """
    if not held.n:
        return ridges[len(ridges) // 2]
    n_outputs = len(fitted.origins[1 - giver])
    outputs = slice(None, None, max(1, n_outputs // CHANNELS_TRIED))
    best, least = ridges[0], float("inf")
    for ridge in ridges:
        errors = [held.error(fit, giver, outputs) for fit in fitted.fits(giver, [ridge], outputs)]
        if not errors or errors[0] > least:
            break
        best, least = ridge, errors[0]
    return best


def fitted(sums: Sums, giver: int, ridge: float) -> Affine:
    """The fit to all positions of `sums`, with more of a ridge where that one is not enough for a solution."""
    while not (fits := sums.fits(giver, [ridge])):
        ridge = max(10 * ridge, min(RIDGES))
    return sums.absolute(fits[0], giver)


class Variance:
    """How much of what was wanted is explained, over positions in batches; in float64."""

    def __init__(self) -> None:
        self.n, self._left, self._squares = 0, 0.0, 0.0
        self._origin: Tensor | None = None
        self._sums: Tensor | None = None

    def add(self, wanted: Tensor, mapped: Tensor) -> None:
        """(P, C) each."""
        if self._origin is None or self._sums is None:
            self._origin = wanted.mean(0)
            self._sums = torch.zeros_like(self._origin, dtype=torch.float64)
        about = wanted - self._origin
        self.n += len(wanted)
        self._sums += about.sum(0, dtype=torch.float64)
        self._squares += _square(about)
        self._left += _square(wanted - mapped)

    @property
    def explained(self) -> float:
        """R^2, channels weighted by their variance; NaN where nothing varies."""
        if self._sums is None:
            return float("nan")
        whole = self._squares - float(self._sums @ self._sums) / self.n
        return 1 - self._left / whole if whole > 0 else float("nan")


def _square(values: Tensor) -> float:
    """The sum of squares, by a product that makes no second copy of values."""
    flat = values.flatten()
    return float(flat @ flat)
