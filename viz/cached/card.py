"""What weights files and the cards beside them say."""

from pathlib import Path
from typing import Any

import streamlit as st

from features import files
from features.networks.card import ModelSpec, read_card


@st.cache_data(max_entries=64, show_spinner=False)
def file_digest(path: str, stamp: float) -> str:
    """Hexadecimal SHA-256 of a file. stamp: its time, so that a new file is read again."""
    return files.digest_of(Path(path))


@st.cache_data(max_entries=64, show_spinner=False)
def card_of(_spec: ModelSpec, path: str, stamp: float) -> dict[str, Any] | None:
    """What stands beside a weights file about its training. stamp: the file's time."""
    return read_card(_spec)
