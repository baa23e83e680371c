"""Image sets that are kept open."""

from pathlib import Path

import streamlit as st

from features import datasets
from features.datasets import ImageSet


@st.cache_resource(max_entries=8, show_spinner="Opening the images")
def open_set(source: str, limit: int, stamp: str) -> ImageSet:
    """An image set, cut to a balanced sample of `limit`. stamp: what changes when the source does."""
    return datasets.open_images(source).sample(limit)


@st.cache_data(ttl=3, show_spinner=False)
def set_stamp(path: str) -> str:
    """What changes when the images at a path do; looked at anew every few seconds at most."""
    return datasets.stamp(Path(path))
