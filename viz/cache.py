"""What the server keeps between reruns and needs no network for, keyed by names and digests, never by arrays."""

import atexit
import gc
import logging
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import streamlit as st

from features import catalogue, datasets, files
from features.catalogue import ModelSpec
from features.datasets import ImageSet
from viz.jobs import Jobs

PAGE_SECONDS = 4
LOG = logging.getLogger(__name__)


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """The one queue of long tasks of this server."""
    return Jobs()


@st.cache_resource(show_spinner=False)
def downloads() -> Jobs:
    """A queue of its own for what waits for the network, so that no analysis waits for it."""
    return Jobs()


@st.cache_resource(show_spinner=False)
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


@st.cache_data(max_entries=64, show_spinner=False)
def card(_spec: ModelSpec, path: str, stamp: float) -> dict[str, Any] | None:
    """What stands beside a weights file about its training. stamp: the file's time."""
    return catalogue.card(_spec)


@st.cache_resource(show_spinner=False)
def uploads() -> Path:
    """Where uploads lie while the server runs."""
    folder = tempfile.TemporaryDirectory(prefix="resnet-explorer-")
    atexit.register(folder.cleanup)
    return Path(folder.name).resolve()


class WarmUp(threading.Thread):
    """Imports PyTorch and compiles UMAP in the background, so that the first page waits for neither.

    device: what networks run on, in words; '' until PyTorch is here.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True, name="warm-up")
        self.device = ""

    def run(self) -> None:
        time.sleep(PAGE_SECONDS)  # the browser is still drawing the first page, often on the same cores
        try:
            self._work()
        except Exception:  # the page that needs it shows what is wrong
            LOG.exception("The warm-up failed")
            self.device = self.device or "an unknown device: see the log"

    def _work(self) -> None:
        from features import embed, network

        # Streamlit collects garbage after every run, and a page that watches a job runs every second. Over the
        # millions of objects of the libraries that takes most of a second and stops all threads.
        gc.freeze()
        self.device = network.device_name()
        embed.warm_up()
        gc.freeze()


@st.cache_resource(show_spinner=False)
def warm_up() -> WarmUp:
    """The server's warm-up, started when it is asked for first."""
    thread = WarmUp()
    thread.start()
    return thread
