"""What one layer's channels did to the images so far: sums that can be merged, extremes and a sample of images."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from features.channels.extremes import Leaders
from features.channels.reductions import reduced
from features.channels.results import Layer
from features.networks.zoo import Model
from features.results import finite


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of N images before they are read.

    rows: (N,) int64, their numbers in the set, ascending. slots: (N,) int64, their slots in the sample, -1 for those
    outside it. members: (N, K) bool, the labels that each has; K is 0 without labels.
    """

    rows: np.ndarray
    slots: np.ndarray
    members: np.ndarray


class LayerTally:
    """What one layer's C channels did to the images so far.

    It holds extremes of k images a channel, sums for K classes, and the numbers of S sampled images: nothing of it
    grows with the images.
    """

    def __init__(self, name: str, stage: str, shape: tuple[int, ...], k: int, sizes: tuple[int, int]) -> None:
        """stage: that of which it is the last block, '' for none. sizes: K classes and S sampled images."""
        n_classes, n_sample = sizes
        channels = shape[0]
        self.name, self.stage, self.shape = name, stage, shape
        self.n = 0
        self.silent = np.zeros(channels, np.int64)
        self.sums, self.squares = np.zeros((2, channels))
        self.class_sums, self.class_squares = np.zeros((2, n_classes, channels))
        self.top, self.bottom = Leaders(channels, k, 1), Leaders(channels, k, -1)
        self.maxima, self.means = np.zeros((2, n_sample, channels), np.float32)

    def add(self, maps: Tensor, known: Known, model: Model) -> None:
        """Take up what a batch made of the layer, (N, C, H, W). Raises FeatureError if a value is NaN or infinite."""
        made = reduced(maps)
        finite(made.means, model)
        means, maxima = made.means.cpu().numpy(), made.maxima.cpu().numpy()  # (N, C)
        self.n += len(means)
        self.silent += (maxima <= 0).sum(0)
        exact = means.astype(np.float64)
        squares = np.square(exact)
        self.sums += exact.sum(0)
        self.squares += squares.sum(0)
        present = np.flatnonzero(known.members.any(0))
        weights = known.members[:, present].T.astype(np.float64)  # (K', N)
        self.class_sums[present] += weights @ exact
        self.class_squares[present] += weights @ squares
        for leaders in (self.top, self.bottom):
            leaders.add(maxima, known.rows, lambda images, channels: made.positions(maps, images, channels))
        chosen = known.slots >= 0
        self.maxima[known.slots[chosen]] = maxima[chosen]
        self.means[known.slots[chosen]] = means[chosen]

    def merge(self, other: "LayerTally", own: np.ndarray, theirs: np.ndarray) -> None:
        """Take up what another has read of other images of the same set.

        theirs: (M,) slots of the other's sample that it filled; own: (M,) those of the same images in its own.
        """
        self.n += other.n
        for name in ("silent", "sums", "squares", "class_sums", "class_squares"):
            getattr(self, name)[:] += getattr(other, name)
        self.top.merge(other.top)
        self.bottom.merge(other.bottom)
        self.maxima[own], self.means[own] = other.maxima[theirs], other.means[theirs]

    def result(self, slots: np.ndarray) -> Layer:
        """slots: (M,) of the sample, those that were filled."""
        mean = self.sums / self.n
        return Layer(
            name=self.name,
            stage=self.stage,
            shape=self.shape,
            n_images=self.n,
            mean=mean,
            variance=np.maximum(self.squares / self.n - np.square(mean), 0),
            silent=self.silent / self.n,
            top=self.top.result(self.n),
            bottom=self.bottom.result(self.n),
            maxima=self.maxima[slots],
            means=self.means[slots],
            class_sums=self.class_sums.copy(),
            class_squares=self.class_squares.copy(),
        )
