"""Unbiased CKA of all layers of two networks while images go by, in minibatches: memory does not grow with the images.

HSIC_1 of a batch is an unbiased estimate at any size of 4 images or more, so the mean over batches estimates what the
whole set would give; CKA is the ratio of such means (Nguyen, Raghu & Kornblith 2021, arXiv:2010.15327), never a mean of
ratios. Batches must be random samples: of a set sorted by class each would hold what lies within one class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from features.errors import FeatureError
from features.results import Provenance
from features.similarity.batch_sums import Kernels, Sums
from features.similarity.buffers import Buffers
from features.similarity.hsic import LEAST_IMAGES
from features.similarity.layers import checked, need_images, need_same_images
from features.similarity.table import Similarity, Spread, chance_of

LEAST_BATCHES = 8  # an interval of fewer resampled batches would be too narrow


@dataclass(frozen=True)
class Batching:
    """batch: images of one HSIC; permutations: of each batch, for what chance gives; bootstraps: of batches, for
    intervals; seed: of both.
    """

    batch: int = 256
    permutations: int = 20
    bootstraps: int = 1000
    seed: int = 0


class Stream:
    """CKA between the layers of two networks, or of one with itself, of images that are handed in as they come.

    They are gathered into batches of one size, however many are handed in at a time, so that nothing depends on that;
    what is left at the end joins the last batch if it is fewer than 4. Each image counts alike. 16 x 16 blocks of two
    ResNet-50s take about 60 MB at 256 images a batch. Images must come in random order: `Similarity.spread` tells.
    """

    def __init__(
        self, left: Sequence[str], right: Sequence[str] | None = None, batching: Batching | None = None
    ) -> None:
        """left, right: the layers' names in the order of depth; None to compare a network with itself.

        Raises FeatureError for batches of fewer than 4 images.
        """
        self.batching = batching or Batching()
        if self.batching.batch < LEAST_IMAGES:
            raise FeatureError(
                f"Got batches of {self.batching.batch}, but HSIC is unbiased from {LEAST_IMAGES} images on. "
                "Choose larger batches, such as 256."
            )
        self._names = tuple(left), None if right is None else tuple(right)
        self._buffers = Buffers(self.batching.batch)
        self._sums: Sums | None = None

    @property
    def n_images(self) -> int:
        """How many images were handed in."""
        return self._buffers.taken

    def add(self, left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray] | None = None) -> None:
        """Take some images: layer -> (n, D), for both networks the same images in one order.

        Raises FeatureError for layers other than those agreed on, rows that do not match, or values that are not
        finite; nothing of these images is then taken.
        """
        values = self._checked("first", self._names[0], left)
        if self._names[1] is not None:
            values += self._checked("second", self._names[1], right or {})
        counts = sorted({len(rows) for rows in values})
        if len(counts) > 1:
            raise FeatureError(
                f"The same images are compared, but layers hold {' and '.join(map(str, counts))} rows. "
                "Hand in the same images for every layer."
            )
        for batch in self._buffers.batches(values):
            self._sums = self._with(batch)

    def add_images(self, left: "Rows", right: "Rows") -> None:
        """As `add`, where each says of which images it is. Raises FeatureError unless these are one list."""
        need_same_images(left.ids, right.ids)
        self.add(left.features, right.features)

    def result(self, left: Provenance | None = None, right: Provenance | None = None) -> Similarity:
        """What the images so far amount to; more may follow. left, right: what made the features.

        Raises FeatureError if there are fewer than 4.
        """
        need_images(self.n_images)
        rest = self._buffers.rest()
        sums = self._with(rest) if len(rest[0]) else self._sums
        assert sums is not None  # of 4 images either is there
        settings = self.batching
        rows, columns = self._names[0], self._names[0] if self._names[1] is None else self._names[1]
        values = sums.cka()
        low, high = sums.interval(settings.bootstraps, settings.seed, LEAST_BATCHES)
        chance, limit, p_values = chance_of(values, sums.shuffled_cka(), is_distance=False)
        made = {"measure": "cka", "n_images": self.n_images, **asdict(settings)}
        left = (left or Provenance()).with_settings(**made)
        return Similarity(
            measure="cka",
            rows=rows,
            columns=columns,
            values=values,
            low=low,
            high=high,
            chance=chance,
            chance_limit=limit,
            p_values=p_values,
            n_images=self.n_images,
            left=left,
            right=left if self._names[1] is None else (right or Provenance()).with_settings(**made),
            spread=Spread(sums.spread(), sums.n_batches),
        )

    def _with(self, batch: list[np.ndarray]) -> Sums:
        """The sums so far and a batch's; those so far stay as they are."""
        n_left = len(self._names[0])
        kernels = Kernels(batch, n_left, itself=self._names[1] is None)
        sums = self._sums or Sums(kernels.shape, self.batching.permutations)
        return sums.plus(kernels, self.batching.seed)

    def _checked(self, which: str, names: tuple[str, ...], values: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        if set(values) != set(names):
            raise FeatureError(
                f"Of the {which} network {', '.join(names)} are compared, but got {', '.join(values) or 'nothing'}. "
                "Hand in every layer with every batch."
            )
        return [checked(values[name], f"{name} of the {which} network") for name in names]


@dataclass(frozen=True, eq=False)
class Rows:
    """ids: (n,) images; features: layer -> (n, D) of them."""

    ids: Sequence[str]
    features: Mapping[str, np.ndarray]


def with_batch(batching: Batching, n_images: int) -> Batching:
    """The same with batches small enough that so many images give intervals: at least 8 batches of at least 16."""
    return replace(batching, batch=min(batching.batch, max(16, n_images // LEAST_BATCHES)))
