"""What the server has once for all visitors: queues of work and a folder for uploads."""

import atexit
import tempfile
from pathlib import Path

import streamlit as st

from viz.jobs import Jobs


@st.cache_resource(show_spinner=False)
def analysis_queue() -> Jobs:
    """The one queue of long tasks of this server."""
    return Jobs()


@st.cache_resource(show_spinner=False)
def download_queue() -> Jobs:
    """A queue of its own for what waits for the network, so that no analysis waits for it."""
    return Jobs()


@st.cache_resource(show_spinner=False)
def preview_queue() -> Jobs:
    """A queue of its own for small pictures, which wait for the disk."""
    return Jobs()


@st.cache_resource(show_spinner=False)
def uploads() -> Path:
    """Where uploads lie while the server runs."""
    folder = tempfile.TemporaryDirectory(prefix="resnet-explorer-")
    atexit.register(folder.cleanup)
    return Path(folder.name).resolve()
