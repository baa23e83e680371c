"""The one list of measures of representation similarity, with what each of them sees and does not see."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.registry import Registry
from features.similarity.hsic import biased_cka, side, unbiased_cka
from features.similarity.mutual import NEIGHBOURS, neighbourhoods, shared_neighbours
from features.similarity.procrustes import procrustes_distance, shape
from features.similarity.rsa import rank_correlation, ranks


@dataclass(frozen=True)
class Measure:
    """One way to say how alike two networks' features of the same images are.

    name: as it is chosen. title: as it is headed. sees, blind: one sentence each on what changes it and what does not.
    source: who introduced it. lowest, highest: its range. same: its value of features with themselves.
    prepare: (N, D) finite features -> what `compare` takes two of, with `permuted`; compare: NaN where one is constant.
    most_images: of which it is computed at most, a sample of more.
    """

    name: str
    title: str
    sees: str
    blind: str
    source: str
    lowest: float
    highest: float
    same: float
    prepare: Callable[[np.ndarray], Any]
    compare: Callable[[Any, Any], float]
    most_images: int

    @property
    def is_distance(self) -> bool:
        """Whether smaller is more alike."""
        return self.same == self.lowest

    @property
    def farthest(self) -> float | None:
        """The largest value of a distance; None of a measure that is larger the more alike."""
        return self.highest if self.is_distance else None

    def nearer(self, values: np.ndarray, than: np.ndarray) -> np.ndarray:
        """Where values are at least as alike as others, which may be broadcast."""
        return values <= than if self.is_distance else values >= than


MEASURES: Registry[Measure] = Registry(
    "measure of similarity",
    [
        Measure(
            name="cka",
            title="Linear CKA, unbiased",
            sees="Whether pairs of images have alike inner products in both, most of all along the directions of "
            "largest variance; 0 is what chance gives, at any number of images.",
            blind="Rotation, scale and shift, and what lies in directions of small variance, where a class may be told "
            "from another.",
            source="Kornblith et al. 2019, arXiv:1905.00414; HSIC_1 of Song et al. 2012, JMLR 13:1393; in minibatches "
            "Nguyen, Raghu & Kornblith 2021, arXiv:2010.15327",
            lowest=-1,
            highest=1,
            same=1,
            prepare=side,
            compare=unbiased_cka,
            most_images=2000,
        ),
        Measure(
            name="cka-biased",
            title="Linear CKA, biased",
            sees="The same as unbiased CKA where images well outnumber channels, and how many images there are where "
            "they do not: it is near 1 for features without anything in common when channels outnumber images.",
            blind="Rotation, scale and shift, directions of small variance, and in small samples the difference "
            "between alike and unrelated.",
            source="Kornblith et al. 2019, arXiv:1905.00414; HSIC_0 of Gretton et al. 2005, doi:10.1007/11564089_7",
            lowest=0,
            highest=1,
            same=1,
            prepare=side,
            compare=biased_cka,
            most_images=2000,
        ),
        Measure(
            name="rsa",
            title="RSA: rank correlation of distances",
            sees="Whether both networks put pairs of images in one order from nearest to farthest, every pair with "
            "equal weight.",
            blind="How much farther one pair is than another, and rotation, scale and shift.",
            source="Kriegeskorte, Mur & Bandettini 2008, doi:10.3389/neuro.06.004.2008; Spearman's correlation of "
            "Euclidean distances",
            lowest=-1,
            highest=1,
            same=1,
            prepare=ranks,
            compare=rank_correlation,
            most_images=1000,
        ),
        Measure(
            name="procrustes",
            title="Orthogonal Procrustes distance",
            sees="What of both clouds of images no rotation or reflection brings together at equal size, with more "
            "weight on directions of small variance than CKA gives them.",
            blind="Rotation, reflection, scale and shift; in samples that channels outnumber it is near 0 whatever "
            "the networks.",
            source="Schoenemann 1966, doi:10.1007/BF02289451; Ding, Denain & Steinhardt 2021, arXiv:2108.01661",
            lowest=0,
            highest=2,
            same=0,
            prepare=shape,
            compare=procrustes_distance,
            most_images=500,
        ),
        Measure(
            name="neighbours",
            title="Mutual nearest neighbours",
            sees=f"Whether the {NEIGHBOURS} images nearest to an image are the same in both networks: local structure.",
            blind="Everything beyond the neighbourhood, such as how groups of images lie to each other; its size by "
            "chance grows as images get fewer.",
            source="Huh, Cheung, Wang & Isola 2024, arXiv:2405.07987",
            lowest=0,
            highest=1,
            same=1,
            prepare=neighbourhoods,
            compare=shared_neighbours,
            most_images=2000,
        ),
    ],
)
