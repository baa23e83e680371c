"""What the server does ahead of need, while nobody waits."""

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from viz.cached.server import jobs as jobs_of_server
from viz.jobs import SHORT, Jobs

PAGE_SECONDS = 4  # for which the browser still draws, often on the same cores
LOG = logging.getLogger(__name__)


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

    def __init__(
        self,
        jobs: Jobs,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(daemon=True, name="warm-up")
        self.device = ""
        self._jobs = jobs
        self._clock, self._pause = clock, pause
        self._pages = 0
        self._compiling = False
        self._lock = threading.Lock()
        self._last = clock()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While a page is made the warm-up begins nothing new, nor while a short job runs, nor for some seconds after.

        Long ones may take hours, and run at a lower priority than this.
        """
        with self._lock:
            self._pages += 1
        try:
            yield
        finally:
            with self._lock:
                self._pages -= 1
            self._last = self._clock()
            if self._compiling:  # what it has made by now would be gone through after this page: up to half a second
                keep_libraries()

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
        self._compiling = True
        try:
            embed.warm_up()
        finally:
            self._compiling = False
            keep_libraries()

    def _rest(self) -> None:
        while self._clock() - self._last < PAGE_SECONDS:
            self._pause(0.5)
            if self._pages or self._jobs.busy(SHORT):
                self._last = self._clock()


@st.cache_resource(show_spinner=False)
def started() -> WarmUp:
    """The server's warm-up, started when it is asked for first."""
    thread = WarmUp(jobs_of_server())
    thread.start()
    return thread
