"""Rows of many layers, gathered into batches of one size from pieces of any size."""

from collections.abc import Iterator

import numpy as np

from features.errors import FeatureError
from features.similarity.hsic import LEAST_IMAGES


class Buffers:
    """Keeps at least 4 rows back, or none, so that what is left at the end is a batch of its own."""

    def __init__(self, batch: int) -> None:
        self._batch, self._held = batch, 0
        self._rows: list[np.ndarray] = []  # (batch + 4, D) of each layer
        self.taken = 0

    def batches(self, values: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """Take rows (n, D) of each layer, and hand out every full batch: (batch, D) of each, valid until the next.

        Raises FeatureError if a layer had another width before.
        """
        self._fit(values)
        start, n_rows = 0, len(values[0])
        while start < n_rows:
            stop = min(n_rows, start + self._batch + LEAST_IMAGES - self._held)
            for rows, more in zip(self._rows, values, strict=True):
                rows[self._held : self._held + stop - start] = more[start:stop]
            self._held += stop - start
            self.taken += stop - start
            start = stop
            if self._held == self._batch + LEAST_IMAGES:
                yield [rows[: self._batch] for rows in self._rows]
                for rows in self._rows:
                    rows[:LEAST_IMAGES] = rows[self._batch :].copy()
                self._held = LEAST_IMAGES

    def rest(self) -> list[np.ndarray]:
        """The rows that no batch held yet, (n, D) of each layer: fewer than batch + 4."""
        return [rows[: self._held] for rows in self._rows]

    def _fit(self, values: list[np.ndarray]) -> None:
        if not self._rows:
            self._rows = [np.empty((self._batch + LEAST_IMAGES, rows.shape[1]), rows.dtype) for rows in values]
        for rows, more in zip(self._rows, values, strict=True):
            if rows.shape[1] != more.shape[1]:
                raise FeatureError(
                    f"A layer has {more.shape[1]} values an image, but had {rows.shape[1]} before. "
                    "Hand in one network's features in one form."
                )
