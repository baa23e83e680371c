"""What the server keeps between reruns and needs no network for, keyed by names and digests, never by arrays."""

import atexit
import tempfile
from pathlib import Path

import streamlit as st

from features import datasets, files
from features.datasets import ImageSet
from viz.jobs import Jobs


@st.cache_resource
def jobs() -> Jobs:
    """The one queue of long tasks of this server."""
    return Jobs()


@st.cache_resource
def downloads() -> Jobs:
    """A queue of its own for what waits for the network, so that no analysis waits for it."""
    return Jobs()


@st.cache_resource
def previews() -> Jobs:
    """A queue of its own for small pictures, which wait for the disk."""
    return Jobs()


@st.cache_resource(max_entries=8, show_spinner="Opening the images")
def images(source: str, limit: int, stamp: str) -> ImageSet:
    """An image set, cut to a balanced sample of `limit`. stamp: what changes when the source does."""
    return datasets.open_images(source).sample(limit)


@st.cache_data(ttl=3, show_spinner=False)
def stamp(path: str) -> str:
    """What changes when the images at a path do; looked at anew every few seconds at most."""
    return datasets.stamp(Path(path))


@st.cache_data(max_entries=64, show_spinner=False)
def digest(path: str, stamp: float) -> str:
    """Hexadecimal SHA-256 of a file. stamp: its time, so that a new file is read again."""
    return files.digest_of(Path(path))


@st.cache_resource
def uploads() -> Path:
    """Where uploads lie while the server runs."""
    folder = tempfile.TemporaryDirectory(prefix="resnet-explorer-")
    atexit.register(folder.cleanup)
    return Path(folder.name).resolve()
