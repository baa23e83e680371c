"""The k images that excite each channel most, or least, of any number that come one batch after another."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Locate = Callable[[np.ndarray, np.ndarray], np.ndarray]
NO_IMAGE = -1


@dataclass(frozen=True, eq=False)
class Extremes:
    """The k images with the highest, or the lowest, maxima of each of C channels, the most extreme first.

    values: (C, k) float32, the maxima. rows: (C, k) int64, the images' numbers in their set; of equal values the
    earlier image comes first. positions: (C, k, 2) int32, row and column of the maximum in the map.
    """

    values: np.ndarray
    rows: np.ndarray
    positions: np.ndarray


class Leaders:
    """The k best images of each channel so far, in memory that does not grow. sign: 1 for the highest, -1 the lowest.

    What it holds does not depend on the order in which images come, nor on how they are parted.
    """

    def __init__(self, channels: int, k: int, sign: int) -> None:
        self.sign = sign
        self.keys = np.full((channels, k), -np.inf, np.float32)  # the values times the sign, descending
        self.rows = np.full((channels, k), NO_IMAGE, np.int64)
        self.positions = np.zeros((channels, k, 2), np.int32)

    def add(self, maxima: np.ndarray, rows: np.ndarray, locate: Locate) -> None:
        """Take up some images. maxima: (N, C) float32; rows: (N,) int64.

        locate: numbers of images in the batch and of channels, (R,) each -> positions (R, 2); it is asked for those
        alone that come in.
        """
        keys = self.sign * maxima.T  # (C, N)
        new_rows = np.broadcast_to(rows, keys.shape)
        last, last_row = self.keys[:, -1:], self.rows[:, -1:]
        changed = np.flatnonzero(((keys > last) | ((keys == last) & (new_rows < last_row))).any(1))
        if len(changed):
            channels, ranks, images = self._admit(changed, keys[changed], new_rows[changed])
            self.positions[channels, ranks] = locate(images, channels)

    def merge(self, other: "Leaders") -> None:
        """Take up what another has kept, of other images of the same set."""
        channels, ranks, sources = self._admit(np.arange(len(self.keys)), other.keys, other.rows)
        self.positions[channels, ranks] = other.positions[channels, sources]

    def _admit(
        self, channels: np.ndarray, keys: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sort images in. channels: (A,), of which keys and rows (A, M) are.

        Returns where new ones stand, by channel and rank, and which of the M they are, (R,) each: their positions are
        still to be set.
        """
        k = self.keys.shape[1]
        all_keys = np.concatenate([self.keys[channels], keys], 1)  # (A, k + M)
        all_rows = np.concatenate([self.rows[channels], rows], 1)
        order = np.lexsort((all_rows, -all_keys))[:, :k]  # (A, k)
        self.keys[channels] = np.take_along_axis(all_keys, order, 1)
        self.rows[channels] = np.take_along_axis(all_rows, order, 1)
        kept = np.minimum(order, k - 1)[..., None]
        self.positions[channels] = np.take_along_axis(self.positions[channels], kept, 1)
        at, ranks = np.nonzero(order >= k)
        return channels[at], ranks, order[at, ranks] - k

    def result(self, n_images: int) -> Extremes:
        """What is kept of n_images, which may be fewer than k."""
        k = min(n_images, self.keys.shape[1])
        return Extremes(self.sign * self.keys[:, :k], self.rows[:, :k].copy(), self.positions[:, :k].copy())
