"""Image sets that are kept open, and whether their sources have changed since."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import streamlit as st
from PIL import Image

from features import datasets
from features.datasets import ImageSet, ranges
from features.errors import DatasetError

THUMBNAILS, THUMBNAIL_SIDE = 6, 72
FRESH_SECONDS = 3.0  # for which no source is looked at again
SHARE = 0.02  # of the time, at most, goes into looking at a source whatever its size
MOMENT = 0.02  # seconds that a page may wait for a look


@st.cache_resource(max_entries=8, show_spinner="Opening the images")
def whole_set(source: str, stamp: str) -> ImageSet:
    """An image set. stamp: what changes when the source does."""
    return datasets.open_images(source)


@st.cache_resource(max_entries=16, show_spinner=False)
def open_set(source: str, limit: int, stamp: str) -> ImageSet:
    """As `whole_set`, cut to a balanced sample of `limit`."""
    return whole_set(source, stamp).sample(limit)


@st.cache_data(max_entries=16, show_spinner=False)
def range_notes(images_digest: str, _images: ImageSet) -> list[str]:
    """What is taken for white in pictures of more than 8 bits, in sentences."""
    return ranges.notes(_images)


@st.cache_data(max_entries=16, show_spinner=False)
def thumbnails(images_digest: str, _images: ImageSet) -> list[Image.Image]:
    """A few pictures of a set, small."""
    pictures = [picture.copy() for picture in _images.pictures(THUMBNAILS)]
    for picture in pictures:
        picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return pictures


def set_stamp(path: str) -> str:
    """What changes when the images at a path do, as far as is known. A page waits for it only when it asks first."""
    return _watch(path).stamp()


def look_again(path: str) -> None:
    """Have the next `set_stamp` of a path wait for what lies there now."""
    _watch(path).forget()


@st.cache_resource(max_entries=64, show_spinner=False)
def _watch(path: str) -> "Watch":
    return Watch(lambda: datasets.stamp(Path(path)))


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True, name="look at images").start()


class Watch:
    """The stamp of one source, renewed at a bounded cost: the longer a look takes, the rarer it is.

    A look that takes a moment is made at once, a longer one in the background; until it is over the last stamp stands.
    """

    def __init__(
        self,
        look: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
        background: Callable[[Callable[[], None]], None] = _in_background,
    ) -> None:
        self._look, self._clock, self._background = look, clock, background
        self._stamp: str | None = None
        self._took = self._next = 0.0  # seconds that the last look took, and when the next one is due
        self._looking = self._forgotten = False  # in the background; since that look began
        self._lock = threading.Lock()

    def stamp(self) -> str:
        """Raises DatasetError if the source cannot be listed."""
        with self._lock:
            if self._stamp is None:
                return self._renew()
            if self._clock() < self._next or self._looking:
                return self._stamp
            if self._took <= MOMENT:
                return self._renew()
            self._looking, self._forgotten = True, False
            last = self._stamp
        self._background(self._renew_later)
        return last

    def forget(self) -> None:
        """Wait for a look when the stamp is asked for next."""
        with self._lock:
            self._stamp, self._forgotten = None, True

    def _renew(self) -> str:
        began = self._clock()
        stamp = self._look()
        self._keep(stamp, began)
        return stamp

    def _renew_later(self) -> None:
        began = self._clock()
        try:
            stamp = self._look()
        except DatasetError as error:
            stamp = str(error)  # another one, so that the page opens the set again and shows what is wrong
        with self._lock:
            self._looking = False
            if not self._forgotten:
                self._keep(stamp, began)

    def _keep(self, stamp: str, began: float) -> None:
        now = self._clock()
        self._stamp, self._took = stamp, now - began
        self._next = now + max(FRESH_SECONDS, self._took / SHARE)
