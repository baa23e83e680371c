"""What the Compare page is about: networks, images, and what was counted of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import streamlit as st

from features.compare import Comparison, Contender, Pair
from features.datasets import ImageSet
from features.networks.zoo import Model
from viz import sidebar
from viz.reports.compare import words

PAIR = "pair"  # in links


@dataclass(frozen=True, eq=False)
class Shown:
    """models: the networks of `told`, in its order. images: of the page. whole: the set that selections are of."""

    models: Sequence[Model]
    images: ImageSet
    whole: ImageSet
    told: Comparison

    def numbers(self, pair: Pair) -> tuple[int, int]:
        """Which of the networks two are."""
        return self.told.number(pair.first), self.told.number(pair.second)

    def both(self, pair: Pair) -> tuple[Contender, Contender]:
        return self.told.named(pair.first), self.told.named(pair.second)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {image_id: number for number, image_id in enumerate(self.images.ids)}

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """The numbers of some images in the page's set, by their ids."""
        return np.array([self._rows[image_id] for image_id in ids], np.int64)

    def offer_selection(self, ids: Sequence[str], key: str) -> None:
        """A button that selects images, by their ids, for all pages."""
        text = f"Select {len(ids):,}"
        if st.button(text, icon=":material/select:", key=key, help="For all pages, and with a link."):
            numbers = {image_id: number for number, image_id in enumerate(self.whole.ids)}
            sidebar.select(self.whole, np.array([numbers[image_id] for image_id in ids], np.int64))
            st.rerun()


def choose_pair(told: Comparison) -> Pair:
    """Two of the networks; of two alone these."""
    titles = [words.pair(each) for each in told.pairs]
    if len(titles) == 1:
        return told.pairs[0]
    if st.session_state.get(PAIR) not in (None, *titles):
        del st.session_state[PAIR]  # of the networks before these
    return told.pairs[titles.index(st.selectbox("Two of them", titles, key=PAIR, bind="query-params"))]
