"""What weights files and the cards beside them say."""

from pathlib import Path
from typing import Any

import streamlit as st

from features import files
from features.networks.card import ModelSpec, read_card


@st.cache_data(max_entries=64, show_spinner=False)
def file_digest(path: str, stamp: float) -> str:
    """Hexadecimal SHA-256 of a file, or of those that an index names. stamp: its time, so that it is read again."""
    if path.endswith(".index.json"):
        from features.networks import checkpoint  # PyTorch with it

        return checkpoint.read(Path(path)).digest
    return files.digest_of(Path(path))


@st.cache_data(max_entries=64, show_spinner=False)
def card_of(_spec: ModelSpec, path: str, stamp: float) -> dict[str, Any] | None:
    """What stands beside a weights file about its training. stamp: the file's time."""
    return read_card(_spec)
