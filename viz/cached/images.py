"""Image sets that are kept open, and whether their sources have changed since."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from PIL import Image

from features import datasets
from features.datasets import Columns, ImageSet, Snapshot, counting, ranges
from features.datasets.listing import Listing
from features.errors import DatasetError
from features.progress import Task
from features.sources import split_of
from viz.jobs import PREVIEW, Work

THUMBNAILS, THUMBNAIL_SIDE = 6, 72
KEPT_SETS = 8
FRESH_SECONDS = 3.0  # for which no source is looked at again
SHARE = 0.02  # of the time, at most, goes into looking at a source whatever its size
MOMENT = 0.02  # seconds that a page may wait for a look


@dataclass(frozen=True)
class Chosen:
    """What a visitor chose to open. stamp: what changes when it does. columns: of its table, if any were chosen."""

    source: str
    stamp: str = ""
    columns: Columns = Columns()  # noqa: RUF009  # frozen


class Sets:
    """The sets that were opened last."""

    def __init__(self) -> None:
        self._held: OrderedDict[Chosen, ImageSet] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, chosen: Chosen) -> ImageSet | None:
        """A set, if it was opened."""
        with self._lock:
            if chosen in self._held:
                self._held.move_to_end(chosen)
            return self._held.get(chosen)

    def work(self, chosen: Chosen) -> Work:
        """What opens a set, and keeps it here."""
        return Work(f"open {chosen}", lambda: self._opening(chosen), PREVIEW)

    def _opening(self, chosen: Chosen) -> Task[ImageSet]:
        listing = _listings().take(split_of(chosen.source)[0], chosen.stamp)
        opened = yield from datasets.opening(chosen.source, columns=chosen.columns, listing=listing)
        with self._lock:
            self._held[chosen] = opened
            while len(self._held) > KEPT_SETS:
                self._held.popitem(last=False)
        return opened


@st.cache_resource(show_spinner=False)
def sets() -> Sets:
    """The sets of all visitors."""
    return Sets()


@st.cache_resource(max_entries=16, show_spinner=False)
def sampled(chosen: Chosen, limit: int, _whole: ImageSet) -> ImageSet:
    """A set, cut to a balanced sample of `limit`."""
    return _whole.sample(limit)


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


def look_work(path: str) -> Work | None:
    """What looks at a path for the first time, which takes a while in a large folder; None if that was done."""
    watch = _watch(path)
    if watch.looked:
        return None
    return Work(f"look {path} {watch.number}", lambda: counting.told(watch.stamp), PREVIEW)


def look_again(path: str) -> None:
    """Have the next `set_stamp` of a path wait for what lies there now."""
    _watch(path).forget()


@st.cache_resource(max_entries=64, show_spinner=False)
def _watch(path: str) -> "Watch":
    return Watch(lambda: _listings().keep(path, datasets.snapshot(Path(path))))


class Listings:
    """What the last look at a folder has listed, until its set is opened: a large one is walked through once for both.

    One listing at a time, since that of a large folder is large.
    """

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}  # the last stamp of each path
        self._last: tuple[str, Snapshot] | None = None
        self._lock = threading.Lock()

    def keep(self, path: str, seen: Snapshot) -> str:
        """The stamp of what was seen, whose listing is kept if it is another than the last."""
        with self._lock:
            if seen.listing is not None and self._seen.get(path) != seen.stamp:
                self._last = path, seen
            self._seen[path] = seen.stamp
        return seen.stamp

    def take(self, path: str, stamp: str) -> Listing | None:
        """What was listed, to whoever asks first; None where it is gone."""
        with self._lock:
            if self._last is None or (self._last[0], self._last[1].stamp) != (path, stamp):
                return None
            listing, self._last = self._last[1].listing, None
            return listing


@st.cache_resource(show_spinner=False)
def _listings() -> Listings:
    return Listings()


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
        self.number = 0  # how often it was told to look anew

    @property
    def looked(self) -> bool:
        """Whether a stamp is known, so that asking for it takes a moment."""
        return self._stamp is not None

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
            self.number += 1

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
