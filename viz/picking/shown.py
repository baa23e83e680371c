"""What a page is about: a network, images, and which of the whole set these are."""

from dataclasses import dataclass

import numpy as np

from features.datasets import ImageSet
from features.networks import zoo
from features.selection import Selection
from viz import sidebar
from viz.picking.picture import look_at


@dataclass(frozen=True, eq=False)
class Shown:
    """The network, the images that a page is about, and the set that selections are of.

    rows: (N,) int64, the images' numbers in the whole set.
    """

    model: zoo.Model
    images: ImageSet
    whole: ImageSet
    rows: np.ndarray

    @staticmethod
    def of_sidebar() -> "Shown":
        """What is chosen there. Raises FeatureError if it cannot be opened."""
        model, whole, images = sidebar.model(), sidebar.images(selected=False), sidebar.images()
        chosen = sidebar.selection(whole)
        narrowed = images is not whole and chosen is not None and len(images) == len(chosen)
        return Shown(model, images, whole, chosen.rows if narrowed and chosen is not None else np.arange(len(whole)))

    def select(self, images: np.ndarray) -> None:
        """Select some images for all pages, by their numbers in `images`."""
        sidebar.select(self.whole, self.rows[images])

    def pick(self, image: int, more: bool) -> None:
        """Take one image by its number in `images`, as the selection of all pages and as the one that is looked at.

        more: add it to the selection, or take it out. Where pages are about the selection alone, that stays as it is.
        """
        look_at(image)
        if self.images is not self.whole:
            return
        before = sidebar.selection(self.whole)
        mask = np.zeros(len(self.whole), bool) if before is None or not more else before.mask
        mask[image] = not mask[image]
        sidebar.choose(Selection.of(self.whole.digest, mask))
