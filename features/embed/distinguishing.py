"""What sets some images apart from others: the channels or blocks whose numbers differ most between the two."""

from dataclasses import dataclass

import numpy as np

from features.errors import FeatureError


@dataclass(frozen=True, eq=False)
class Distinguished:
    """How D numbers of each image differ between two groups.

    effects: (D,) float64, Cohen's d: the difference of the means in pooled standard deviations, above 0 where the first
        group has more; NaN where a number does not vary. inside, outside: (D,) the two groups' means.
    p_values: (D,) float64, of Welch's t test, corrected for their number (Benjamini & Hochberg 1995,
        doi:10.1111/j.2517-6161.1995.tb02031.x); NaN as above.
    """

    effects: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    p_values: np.ndarray

    def strongest(self, most: int) -> np.ndarray:
        """The numbers of those with the largest effects, whichever way, at most so many; none that does not vary."""
        known = np.flatnonzero(np.isfinite(self.effects))
        return known[np.argsort(-np.abs(self.effects[known]), kind="stable")[:most]]


def distinguishing(values: np.ndarray, inside: np.ndarray) -> Distinguished:
    """What sets some of N images apart from the others by their numbers (N, D), NaN for unknown.

    inside: (N,) bool. Raises FeatureError unless both groups have two images.
    """
    counts = int(inside.sum()), int((~inside).sum())
    if min(counts) < 2:
        raise FeatureError(
            f"Two images on both sides are needed to compare them, but got {counts[0]:,} and {counts[1]:,}."
        )
    means, variances, known = zip(*(_moments(values[rows]) for rows in (inside, ~inside)), strict=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = np.sqrt(
            ((known[0] - 1) * variances[0] + (known[1] - 1) * variances[1]) / (known[0] + known[1] - 2)
        )  # (D,)
        # Of a constant, whose mean is rounded, a spread above 0 may be left.
        varies = np.fmax.reduce(values) > np.fmin.reduce(values)  # (D,)
        effects = np.where(varies & (pooled > 0), (means[0] - means[1]) / pooled, np.nan)
    return Distinguished(effects, means[0], means[1], corrected(_welch(means, variances, known, effects)))


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance and number (D,) of the values (R, D) that are known."""
    counts = np.isfinite(values).sum(axis=0)
    total = np.nansum(values, axis=0, dtype=np.float64)
    means = total / np.maximum(counts, 1)
    squares = np.nansum(np.square(values - means), axis=0, dtype=np.float64)
    return means, squares / np.maximum(counts - 1, 1), counts


def _welch(means: tuple, variances: tuple, known: tuple, effects: np.ndarray) -> np.ndarray:
    """Two-sided p-values (D,) of Welch's t test; NaN where there is no effect to speak of."""
    from scipy.special import stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        errors = [variance / count for variance, count in zip(variances, known, strict=True)]
        spread = errors[0] + errors[1]
        freedom = spread**2 / (errors[0] ** 2 / (known[0] - 1) + errors[1] ** 2 / (known[1] - 1))
        t = np.abs(means[0] - means[1]) / np.sqrt(spread)
        return np.where(np.isfinite(effects), 2 * stdtr(freedom, -t), np.nan)


def corrected(p_values: np.ndarray) -> np.ndarray:
    """The same p-values (D,) corrected for their number by the false discovery rate; NaN counts for none."""
    known = np.flatnonzero(np.isfinite(p_values))
    adjusted = np.full(len(p_values), np.nan)
    order = known[np.argsort(p_values[known], kind="stable")]
    raised = p_values[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1)
    return adjusted
