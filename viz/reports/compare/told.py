"""What every section of a comparison's report is made of."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.compare import holm
from features.compare.slices import LEVEL
from viz.reports.compare import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.compare import Comparison, Contender, ExtraResult, Pair
    from features.compare.extras import Result
    from features.datasets import ImageSet


@dataclass(frozen=True)
class Told:
    """A comparison, its images, the command that makes it again, and the extras that were asked for."""

    comparison: "Comparison"
    images: "ImageSet"
    command: str
    extras: "Sequence[ExtraResult]" = ()

    @cached_property
    def numbers(self) -> np.ndarray:
        """(N,) int64, the numbers in `images` of those that were compared."""
        numbers = {image_id: number for number, image_id in enumerate(self.images.ids)}
        return np.array([numbers[image_id] for image_id in self.comparison.ids], np.int64)

    @cached_property
    def sure(self) -> list[bool]:
        """Of each pair whether its accuracies differ by more than chance among so many pairs."""
        return [p < LEVEL for p in holm([pair.agreement.p_value for pair in self.comparison.pairs])]

    def contender(self, name: str) -> "Contender":
        return next(each for each in self.comparison.contenders if each.name == name)

    def extra(self, name: str, *networks: str) -> "Result | None":
        """An extra of some of the networks; None where it was not asked for."""
        made = (each for each in self.extras if each.extra == name and each.networks == networks)
        return next((each.result for each in made), None)

    def by_right(self, pair: "Pair") -> dict[str, np.ndarray]:
        """Of each of words.BY_RIGHT the images (R,) int64."""
        one, other = self.contender(pair.first).correct, self.contender(pair.second).correct
        masks = one & ~other, ~one & other, ~one & ~other, one & other
        return {name: np.flatnonzero(mask) for name, mask in zip(words.BY_RIGHT, masks, strict=True)}


def pair_key(number: int) -> str:
    """Where the details of pair `number` stand."""
    return f"pair-{number + 1}"
