"""What every section of a comparison's report is made of."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.compare import Comparison, ExtraResult
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

    def extra(self, name: str, *networks: str) -> "Result | None":
        """An extra of some of the networks; None where it was not asked for."""
        made = (each for each in self.extras if each.extra == name and each.networks == networks)
        return next((each.result for each in made), None)


def pair_key(number: int) -> str:
    """Where the details of pair `number` stand."""
    return f"pair-{number + 1}"
