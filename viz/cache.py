"""What the server keeps between reruns and needs no network for, keyed by names and digests, never by arrays."""

import atexit
import gc
import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from features import datasets, files
from features.datasets import ImageSet
from features.networks.card import ModelSpec, read_card
from viz.jobs import Jobs

PAGE_SECONDS = 4  # for which the browser still draws, often on the same cores
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
    return read_card(_spec)


@st.cache_resource(show_spinner=False)
def uploads() -> Path:
    """Where uploads lie while the server runs."""
    folder = tempfile.TemporaryDirectory(prefix="resnet-explorer-")
    atexit.register(folder.cleanup)
    return Path(folder.name).resolve()


def keep_libraries() -> None:
    """Leave everything that has been imported out of garbage collection.

    Streamlit collects after every run, and a page that watches a job runs every second. Over the millions of objects of
    the libraries that takes most of a second and stops all threads.
    """
    gc.freeze()


class WarmUp(threading.Thread):
    """Imports PyTorch and compiles UMAP while nobody waits, so that nobody will have to wait for either.

    device: what networks run on, in words; '' until PyTorch is here.
    """

    def __init__(self, jobs: Jobs) -> None:
        super().__init__(daemon=True, name="warm-up")
        self.device = ""
        self._jobs = jobs
        self._pages = 0
        self._lock = threading.Lock()
        self._last = time.monotonic()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While a page is made the warm-up begins nothing new, nor while a job runs, nor for some seconds after."""
        with self._lock:
            self._pages += 1
        try:
            yield
        finally:
            with self._lock:
                self._pages -= 1
            self._last = time.monotonic()

    def run(self) -> None:
        try:
            self._work()
        except Exception:  # the page that needs it shows what is wrong
            LOG.exception("The warm-up failed")
            self.device = self.device or "an unknown device: see the log"

    def _work(self) -> None:
        self._rest()
        from features import devices, embed

        keep_libraries()
        self.device = devices.device_name()
        self._rest()
        embed.warm_up()
        keep_libraries()

    def _rest(self) -> None:
        while time.monotonic() - self._last < PAGE_SECONDS:
            time.sleep(0.5)
            if self._pages or self._jobs.busy:
                self._last = time.monotonic()


@st.cache_resource(show_spinner=False)
def warm_up() -> WarmUp:
    """The server's warm-up, started when it is asked for first."""
    thread = WarmUp(jobs())
    thread.start()
    return thread
