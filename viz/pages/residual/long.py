"""What takes minutes is measured when a visitor asks for it."""

import streamlit as st

from features.datasets import ImageSet
from features.networks import zoo

MANY = 20_000  # passes of images of 32 px


def is_wanted(model: zoo.Model, images: ImageSet, what: str, passes: int, name: str) -> bool:
    """Whether long work was asked for in this session; work that takes a moment need not be."""
    work = passes * len(images) * (model.spec.preprocessing.crop / 32) ** 2
    key = f"{what} {model.key}"
    if work <= MANY or st.session_state.get("lesions asked") == key:
        return True
    st.caption(f"{name} on {len(images):,} images: this takes minutes on a CPU.")
    if not st.button("Measure", type="primary", icon=":material/play_arrow:"):
        return False
    st.session_state["lesions asked"] = key
    st.rerun()
