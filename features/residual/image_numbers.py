"""Numbers of each image at every block: all of them for sets of ordinary size, exact means for sets of any size."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

LIMIT = 100_000  # images whose own numbers are kept


class ImageNumbers:
    """What N images were measured to be at B blocks: their own numbers, up to LIMIT of them, and exact sums over all.

    Of more images those with the smallest digests of their ids are kept, which are the same whatever the shards.
    """

    def __init__(self, n_classes: int) -> None:
        self.n = 0
        self.n_classes = n_classes
        self.counts = np.zeros(n_classes, np.int64)  # images of each class
        self.ids: list[str] = []
        self.labels: list[np.ndarray] = []
        self.batches: dict[str, list[np.ndarray]] = {}  # name -> (n, B) float32
        self.sums: dict[str, np.ndarray] = {}  # name -> (K + 1, B) of each class and of all, float64
        self.known: dict[str, np.ndarray] = {}  # how many of them are not NaN

    def add(self, ids: Sequence[str], labels: np.ndarray | None, numbers: Mapping[str, np.ndarray]) -> None:
        """numbers: name -> (n, B) float32, NaN where undefined; labels: (n,), None without classes."""
        rows = np.full(len(ids), self.n_classes) if labels is None else labels
        for name, values in numbers.items():
            shape = (self.n_classes + 1, values.shape[1])
            known = ~np.isnan(values)
            sums, counts = self.sums.setdefault(name, np.zeros(shape)), self.known.setdefault(name, np.zeros(shape))
            for total, part in ((sums, np.where(known, values, 0)), (counts, known)):
                if labels is not None:
                    np.add.at(total, rows, part.astype(np.float64))
                total[-1] += part.sum(0, dtype=np.float64)
            self.batches.setdefault(name, []).append(values)
        self.n += len(ids)
        self.ids += ids
        if labels is not None:
            self.labels.append(labels)
            self.counts += np.bincount(labels, minlength=self.n_classes)
        self._thin(2 * LIMIT)

    def merge(self, other: "ImageNumbers") -> None:
        for name, batches in other.batches.items():
            self.batches[name] = self.batches.get(name, []) + batches
            self.sums[name] = self.sums.get(name, 0) + other.sums[name]
            self.known[name] = self.known.get(name, 0) + other.known[name]
        self.n += other.n
        self.ids = self.ids + other.ids
        self.labels = self.labels + other.labels
        self.counts = self.counts + other.counts
        self._thin(2 * LIMIT)

    def _thin(self, limit: int) -> None:
        """Let go of images beyond LIMIT, as soon as there are more than `limit`."""
        if len(self.ids) <= limit:
            return
        kept = np.sort(sorted(range(len(self.ids)), key=lambda place: digest(self.ids[place]))[:LIMIT])
        self.ids = [self.ids[place] for place in kept]
        self.labels = [np.concatenate(self.labels)[kept]] if self.labels else []
        self.batches = {name: [np.concatenate(batches)[kept]] for name, batches in self.batches.items()}

    def content(self) -> tuple[tuple[str, ...], np.ndarray | None, dict[str, np.ndarray]]:
        """The ids, labels and numbers (n, B) of the images that are kept."""
        self._thin(LIMIT)
        labels = np.concatenate(self.labels) if self.labels else None
        return tuple(self.ids), labels, {name: np.concatenate(batches) for name, batches in self.batches.items()}

    def means(self) -> dict[str, np.ndarray]:
        """name -> (K + 1, B) float64, means over the images of each class and over all, NaN where nothing is known."""
        return {
            name: np.divide(sums, self.known[name], out=np.full(sums.shape, np.nan), where=self.known[name] > 0)
            for name, sums in self.sums.items()
        }


def digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def smallest(names: Iterable[str], number: int) -> list[str]:
    """The `number` names with the smallest digests: a sample that is the same however a set is parted."""
    return sorted(names, key=digest)[:number]
