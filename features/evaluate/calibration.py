"""Whether a network is right as often as it is sure: calibration error, reliability curve, temperature scaling.

Guo et al. 2017, arXiv:1706.04599.
"""

from dataclasses import asdict, dataclass
from math import exp, log
from typing import Any

import numpy as np

from features import predictions
from features.networks.card import Outputs

BINS = 15
TEMPERATURES = (0.05, 20.0)  # between which the best is looked for
LEAST = 20  # images, below which half of them tell nothing of a temperature


@dataclass(frozen=True, eq=False)
class Reliability:
    """Answers in B groups by their confidence.

    counts, hits: (B,) int64, the answers of each group and the right ones among them. confidence: (B,) float64, their
    mean; NaN in a group without answers.
    """

    counts: np.ndarray
    hits: np.ndarray
    confidence: np.ndarray

    @property
    def accuracy(self) -> np.ndarray:
        """(B,) float64, the share of right answers; NaN in a group without answers."""
        return np.where(self.counts > 0, self.hits / np.maximum(self.counts, 1), np.nan)

    @property
    def error(self) -> float:
        """The expected calibration error: the mean over all answers of |accuracy - confidence| of their group."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float(np.nansum(self.counts * gaps) / self.counts.sum())


@dataclass(frozen=True)
class Temperature:
    """What dividing all logits by one number does to the confidence; no prediction changes by it.

    value: of the least cross-entropy on n_fitted images. The rest tells of n_told others: expected calibration error
    and cross-entropy in nats, before and after.
    """

    value: float
    n_fitted: int
    n_told: int
    error_before: float
    error_after: float
    loss_before: float
    loss_after: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """Of N answers: predicted classes, or, of labels of which any number holds, whether each label holds.

    equal_width: groups of the same range of confidence; equal_mass: of as many answers, as far as equal confidences,
    which stay together, allow. temperature: None where images have any number of labels and the network predicts one
    class, or where there are too few.
    """

    equal_width: Reliability
    equal_mass: Reliability
    mean_confidence: float
    accuracy: float
    temperature: Temperature | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "expected_error": self.equal_width.error,
            "expected_error_equal_mass": self.equal_mass.error,
            "bins": BINS,
            "mean_confidence": self.mean_confidence,
            "temperature": None if self.temperature is None else asdict(self.temperature),
        }


def calibration(confidence: np.ndarray, right: np.ndarray, temperature: Temperature | None = None) -> Calibration:
    """Of answers' confidence (N,) in [0, 1] and whether they are right (N,) bool; at least one."""
    return Calibration(
        equal_width=reliability(confidence, right, width_groups(confidence)),
        equal_mass=reliability(confidence, right, mass_groups(confidence)),
        mean_confidence=float(confidence.mean(dtype=np.float64)),
        accuracy=float(right.mean()),
        temperature=temperature,
    )


def reliability(confidence: np.ndarray, right: np.ndarray, groups: np.ndarray) -> Reliability:
    """Of answers (N,) in the groups (N,) that they belong to."""
    counts = np.bincount(groups, minlength=BINS)
    sums = np.bincount(groups, confidence.astype(np.float64), BINS)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return Reliability(counts, np.bincount(groups[right], minlength=BINS), means)


def width_groups(confidence: np.ndarray) -> np.ndarray:
    """(N,) which of BINS ranges ((m - 1) / BINS, m / BINS] of confidence each answer lies in."""
    return np.clip(np.ceil(confidence.astype(np.float64) * BINS).astype(np.int64) - 1, 0, BINS - 1)


def mass_groups(confidence: np.ndarray) -> np.ndarray:
    """(N,) groups of about as many answers each, from unsure to sure; answers of one confidence are in one group."""
    _, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts  # answers of less confidence
    return (below * BINS // len(confidence))[inverse.reshape(-1)]


def temperature(logits: np.ndarray, truth: np.ndarray, outputs: Outputs, seed: int = 0) -> Temperature | None:
    """Fit a temperature on a half of the images, and tell of the other what it does.

    logits: (N, K), or (N, 1) of two classes. truth: (N,) int64; (N, K) bool for MULTILABEL. seed: of the halves. None
    below LEAST images.
    """
    if len(logits) < LEAST:
        return None
    if outputs is not Outputs.MULTILABEL:
        logits = predictions.paired(logits)  # (N, K)
    order = np.random.default_rng(seed).permutation(len(logits))
    fitted, told = order[: len(order) // 2], order[len(order) // 2 :]
    value = fit(logits[fitted], truth[fitted])
    before, after = (_error(logits[told] / divisor, truth[told], outputs) for divisor in (1.0, value))
    return Temperature(
        value=value,
        n_fitted=len(fitted),
        n_told=len(told),
        error_before=before,
        error_after=after,
        loss_before=cross_entropy(logits[told], truth[told]),
        loss_after=cross_entropy(logits[told] / value, truth[told]),
    )


def fit(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature, in TEMPERATURES, of the least cross-entropy; that is convex in its inverse, so there is one."""
    from scipy.optimize import minimize_scalar

    bounds = tuple(map(log, TEMPERATURES))

    def loss(power: float) -> float:
        return cross_entropy(logits / exp(power), truth)

    return float(exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x))


def cross_entropy(logits: np.ndarray, truth: np.ndarray) -> float:
    """The mean of -log of the probability of the truth, in nats.

    logits: (N, K). truth: (N,) int64, the one class; or (N, K) bool, then the mean over images and labels.
    """
    values = logits.astype(np.float64)
    if truth.ndim == 2:
        return float((np.logaddexp(0, values) - values * truth).mean())
    return float((np.logaddexp.reduce(values, axis=1) - values[np.arange(len(truth)), truth]).mean())


def answers(logits: np.ndarray, truth: np.ndarray, outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
    """Confidence (N,) and whether it was right (N,) bool, of each image, or of each image and label.

    Of a label the confidence is its probability, and it is right where the label holds.
    """
    chances = predictions.probabilities(logits, outputs)  # (N, K)
    if truth.ndim == 2:
        return chances.reshape(-1), truth.reshape(-1)
    predicted = chances.argmax(1)
    return chances[np.arange(len(chances)), predicted], predicted == truth


def _error(logits: np.ndarray, truth: np.ndarray, outputs: Outputs) -> float:
    confidence, right = answers(logits, truth, outputs)
    return reliability(confidence, right, width_groups(confidence)).error
