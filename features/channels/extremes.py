"""The k images that excite each channel most, or least, of any number that come one batch after another."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Locate = Callable[[np.ndarray, np.ndarray], np.ndarray]
EMPTY = np.iinfo(np.int64).min
LAST = (1 << 32) - 1


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

    What it holds does not depend on the order in which images come, nor on how they are parted. Value and image are one
    whole number (`_codes`), so that one comparison tells which of two images comes first, and one sort orders all.
    """

    def __init__(self, channels: int, k: int, sign: int) -> None:
        self.sign = sign
        self.codes = np.full((channels, k), EMPTY, np.int64)  # descending
        self.positions = np.zeros((channels, k, 2), np.int32)
        self._packed = self.positions.view(np.int64)[..., 0]  # (C, k), the same memory: row and column move as one

    def add(self, maxima: np.ndarray, rows: np.ndarray, locate: Locate) -> None:
        """Take up some images. maxima: (N, C) float32; rows: (N,) int64, below 2^32.

        locate: numbers of images in the batch and of channels, (R,) each -> positions (R, 2); it is asked for those
        alone that come in.
        """
        codes = _codes(self.sign * np.ascontiguousarray(maxima.T), rows)  # (C, N)
        changed = np.flatnonzero(codes.max(1) > self.codes[:, -1])
        if len(changed):
            channels, ranks, images = self._admit(changed, codes[changed])
            self.positions[channels, ranks] = locate(images, channels)

    def merge(self, other: "Leaders") -> None:
        """Take up what another has kept, of other images of the same set."""
        channels, ranks, sources = self._admit(np.arange(len(self.codes)), other.codes)
        self.positions[channels, ranks] = other.positions[channels, sources]

    def _admit(self, channels: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sort images in. channels: (A,), of which the codes (A, M) are.

        Returns where new ones stand, by channel and rank, and which of the M they are, (R,) each: their positions are
        still to be set.
        """
        k = self.codes.shape[1]
        every = np.concatenate([self.codes[channels], codes], 1)  # (A, k + M)
        order = np.argsort(~every, axis=1)[:, :k]  # (A, k), from high to low
        self.codes[channels] = np.take_along_axis(every, order, 1)
        self._packed[channels] = np.take_along_axis(self._packed[channels], np.minimum(order, k - 1), 1)
        at, ranks = np.nonzero(order >= k)
        return channels[at], ranks, order[at, ranks] - k

    def result(self, n_images: int) -> Extremes:
        """What is kept of n_images, which may be fewer than k."""
        k = min(n_images, self.codes.shape[1])
        values = _floats((self.codes[:, :k] >> 32).astype(np.int32))
        rows = LAST - (self.codes[:, :k] & LAST)
        return Extremes(self.sign * values, rows, self.positions[:, :k].copy())


def _codes(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Whole numbers (C, N), larger for larger values (C, N), and of equal values for smaller rows (N,).

    The bits of a float32 as an int32 are in its order, but for those of negative numbers, which are in the reverse.
    """
    bits = (values + np.float32(0)).view(np.int32)  # there are two zeros, of which this leaves one
    return (_in_order(bits).astype(np.int64) << 32) + (LAST - rows)


def _floats(ordered: np.ndarray) -> np.ndarray:
    """The float32 values of the upper halves of codes, int32."""
    return _in_order(ordered).view(np.float32)


def _in_order(bits: np.ndarray) -> np.ndarray:
    """Bits of float32 to int32 in their order, and back."""
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
