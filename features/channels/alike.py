"""Which channel of another network's layer is most alike each channel of a layer: correlation over images.

Every channel with the one that it correlates with most, in both directions (semi-matching of Li et al. 2016,
arXiv:1511.07543), by means over positions. Features are read in blocks of rows, so that memory does not grow with the
images.
"""

from dataclasses import dataclass

import numpy as np

from features.channels.results import QUANTILES
from features.errors import FeatureError
from features.progress import Progress, Task

PERMUTATIONS = 5
ROWS = 2048  # images at a time
TOP = 9  # images that are kept of each channel
LEAST = 3  # images, of which a correlation can be other than 1 or -1


@dataclass(frozen=True, eq=False)
class Matches:
    """The channel of another layer that is most alike each of a layer's C channels.

    channels: (C,) int64, -1 where the channel is constant over the images, so that it has no correlation.
    correlations: (C,) float64, Pearson's r over the images of their means, the highest; NaN where it has none.
    mutual: (C,) bool, whether each is the most alike of its most alike. chance: (C,) float64, the highest r on average
    where the images of the other layer are permuted. limit: what 95 % of all channels' highest stay below then; NaN
    where no channel varies. top: (C, k) int64, the numbers of the images with the largest means, the first first.
    """

    channels: np.ndarray
    correlations: np.ndarray
    mutual: np.ndarray
    chance: np.ndarray
    limit: float
    top: np.ndarray

    @property
    def n_constant(self) -> int:
        """How many channels are the same on all images."""
        return int((self.channels < 0).sum())

    @property
    def beyond_chance(self) -> float:
        """Share of the channels that vary whose correlation is above `limit`; NaN where none varies."""
        known = self.correlations[self.channels >= 0]
        return float((known > self.limit).mean()) if len(known) else float("nan")

    @property
    def quantiles(self) -> np.ndarray:
        """(Q,) float64, the correlations at QUANTILES of the channels that vary; NaN where none does."""
        known = self.correlations[self.channels >= 0]
        return np.quantile(known, QUANTILES) if len(known) else np.full(len(QUANTILES), np.nan)

    @property
    def median(self) -> float:
        """Of the correlations; NaN where no channel varies."""
        return float(self.quantiles[QUANTILES.index(0.5)])


def matched(
    left: np.ndarray, right: np.ndarray, permutations: int = PERMUTATIONS, seed: int = 0
) -> Task[tuple[Matches, Matches]]:
    """The channels most alike between two layers, from left to right and from right to left.

    left, right: (N, C) and (N, D), means over positions of the same images, such as memory maps, of which ROWS rows are
    in memory at a time beside (C, D) numbers. permutations, seed: of the images, for what chance gives.
    Raises FeatureError for other numbers of images, or fewer than 3.
    """
    if len(left) != len(right) or len(left) < LEAST:
        raise FeatureError(
            f"Channels are compared on the same images, {LEAST} or more, but got {len(left)} and {len(right)}. Read "
            "both networks on one set."
        )
    yield Progress(0, permutations + 1, "pass")
    sides = _Scaled(left), _Scaled(right)
    forward, back = _best(_correlations(*sides, np.arange(len(left))))
    chance = [np.empty((permutations, side.values.shape[1])) for side in sides]  # (P, C) and (P, D)
    random = np.random.default_rng(seed)
    for number in range(permutations):
        yield Progress(number + 1, permutations + 1, "pass")
        (_, chance[0][number]), (_, chance[1][number]) = _best(_correlations(*sides, random.permutation(len(left))))
    return _matches(forward, back, chance[0], sides[0]), _matches(back, forward, chance[1], sides[1])


Best = tuple[np.ndarray, np.ndarray]  # of each channel, the most alike and the correlation


def _matches(own: Best, other: Best, chance: np.ndarray, side: "_Scaled") -> Matches:
    channels, values = own
    known = channels >= 0
    back = np.where(known, other[0][np.maximum(channels, 0)], -1)  # (C,)
    by_chance = chance[:, known]
    expected = np.full(len(channels), np.nan)
    if by_chance.size:
        expected[known] = by_chance.mean(0)
    return Matches(
        channels=channels,
        correlations=values,
        mutual=known & (back == np.arange(len(channels))),
        chance=expected,
        limit=float(np.quantile(by_chance, 0.95)) if by_chance.size else float("nan"),
        top=side.top(),
    )


class _Scaled:
    """A layer's means (N, C), of which rows can be had less each channel's mean and divided by its length."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        n_channels = values.shape[1]
        total = np.zeros(n_channels)
        low, high = np.full((2, n_channels), [[np.inf], [-np.inf]])
        for start in range(0, len(values), ROWS):
            block = np.asarray(values[start : start + ROWS], np.float64)
            total += block.sum(0)
            low, high = np.minimum(low, block.min(0)), np.maximum(high, block.max(0))
        self.varies = high > low  # (C,); of a constant a rounded mean may leave a length
        self.mean = total / len(values)
        squares = np.zeros(n_channels)
        for start in range(0, len(values), ROWS):
            squares += np.square(np.asarray(values[start : start + ROWS], np.float64) - self.mean).sum(0)
        self.scale = np.divide(1, np.sqrt(squares), out=np.zeros(n_channels), where=self.varies)

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, chosen: np.ndarray) -> np.ndarray:
        """(R, C) float32; 0 for constant channels."""
        return ((np.asarray(self.values[chosen], np.float64) - self.mean) * self.scale).astype(np.float32)

    def top(self) -> np.ndarray:
        """(C, k) int64, the rows with the largest values, of equal ones the earlier."""
        k = min(TOP, len(self.values))
        kept = np.zeros((0, self.values.shape[1]), np.float32)
        rows = np.zeros(kept.shape, np.int64)
        for start in range(0, len(self.values), ROWS):
            block = np.asarray(self.values[start : start + ROWS], np.float32)
            numbers = np.broadcast_to(np.arange(start, start + len(block))[:, None], block.shape)
            kept, rows = np.concatenate([kept, block]), np.concatenate([rows, numbers])
            order = np.argsort(-kept, axis=0, kind="stable")[:k]  # (k, C)
            kept, rows = np.take_along_axis(kept, order, 0), np.take_along_axis(rows, order, 0)
        return rows.T


def _correlations(left: _Scaled, right: _Scaled, order: np.ndarray) -> np.ndarray:
    """(C, D) float64, with the images of the right in another order (N,); NaN where a channel is constant."""
    products = np.zeros((left.values.shape[1], right.values.shape[1]))
    for start in range(0, len(left), ROWS):
        rows = np.arange(start, min(start + ROWS, len(left)))
        products += left.rows(rows).T @ right.rows(order[rows])  # (C, D)
    products[~left.varies] = np.nan
    products[:, ~right.varies] = np.nan
    return np.clip(products, -1, 1)


def _best(correlations: np.ndarray) -> tuple[Best, Best]:
    """Of each row and of each column the highest number and where it stands; -1 and NaN where there is none."""
    return _highest(correlations), _highest(correlations.T)


def _highest(correlations: np.ndarray) -> Best:
    known = ~np.isnan(correlations).all(1)
    filled = np.where(np.isnan(correlations), -np.inf, correlations)
    at = filled.argmax(1)
    values = filled[np.arange(len(filled)), at]
    return np.where(known, at, -1), np.where(known, values, np.nan)
