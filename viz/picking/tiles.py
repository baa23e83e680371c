"""Small pictures of some images of a set, each with a line of text."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from features import rasters
from features.datasets import ImageSet
from features.datasets.decoding import pictures
from viz import widgets

TILE, WIDTH = 112, 88


def tiles(images: ImageSet, rows: np.ndarray, texts: Sequence[str], key: str) -> None:
    """Pictures of some rows (R,) of a set, as many side by side as there is room for. key: of the container."""
    opened = pictures(images, rows.tolist())
    with st.container(key=key, horizontal=True, gap="small"):
        for picture, text in zip(opened, texts, strict=True):
            st.image(np.asarray(rasters.square(picture, TILE)), caption=widgets.escape(text), width=WIDTH)
