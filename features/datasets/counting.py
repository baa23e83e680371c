"""Tells how far the opening of a source is, and lets it be cancelled, without whoever lists it knowing of either."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from features.progress import Progress, Result, Stopped, Task, threaded

EVERY = 2000  # files
MIB = 1 << 20
Item = TypeVar("Item")
Waiting = tuple[Callable[[Progress], None], threading.Event]
_waiting: ContextVar[Waiting | None] = ContextVar("waiting", default=None)


def told(work: Callable[[], Result]) -> Task[Result]:
    """Run what opens a source as a task that reports how much was listed or unpacked. Closing the task ends it."""

    def run(report: Callable[[Progress], None], stopped: threading.Event) -> Result:
        token = _waiting.set((report, stopped))
        try:
            return work()
        finally:
            _waiting.reset(token)

    return threaded(run, "open images")


def counted(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, files that are listed. Raises Stopped if nobody waits any more."""
    for number, item in enumerate(items):
        if number % EVERY == 0:
            _say(number, "file")
        yield item


def weighed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces of what is unpacked. Raises Stopped if nobody waits any more."""
    done = 0
    for piece in pieces:
        done += len(piece)
        _say(done // MIB, "MiB")
        yield piece


def _say(done: int, unit: str) -> None:
    waiting = _waiting.get()
    if waiting is None:
        return
    report, stopped = waiting
    if stopped.is_set():
        raise Stopped
    report(Progress(done, 0, unit))
