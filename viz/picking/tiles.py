"""Small pictures of some images of a set, each with a line of text."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from features import rasters
from features.datasets import ImageSet
from features.datasets.decoding import pictures
from viz import sidebar, widgets

TILE, WIDTH = 112, 88


def tiles(images: ImageSet, rows: np.ndarray, texts: Sequence[str], key: str) -> None:
    """Pictures of some rows (R,) of a set with what is noted of them, as many side by side as there is room for.

    key: of the container.
    """
    opened, noted = pictures(images, rows.tolist()), sidebar.noted_images(images)
    of = {} if noted is None else noted.of
    with st.container(key=key, horizontal=True, gap="small"):
        for row, picture, text in zip(rows.tolist(), opened, texts, strict=True):
            badges = f" {sidebar.noting.badges(of[row])}" if row in of else ""
            st.image(np.asarray(rasters.square(picture, TILE)), caption=f"{widgets.escape(text)}{badges}", width=WIDTH)
