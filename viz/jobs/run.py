"""One execution of a piece of work, shared by everybody who waits for it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from features.errors import FeatureError
from features.progress import Progress, Task
from viz.jobs.weight import weight
from viz.jobs.work import Work

LOG = logging.getLogger(__name__)


class Run:
    """Waiting, running, done, failed or stopped. error: what it failed with, without its frames."""

    def __init__(self, work: Work) -> None:
        self.key, self.lasting = work.key, work.lasting
        self.progress: Progress | None = None
        self.result: Any = None
        self.weight = 0  # bytes that the result holds in memory
        self.error: BaseException | None = None
        self.began: float | None = None  # when the present kind of step began
        self._make_task: Callable[[], Task[Any]] | None = work.make_task
        self._note_of_waiting = work.note
        self._done_before = 0
        self._reported: float | None = None  # when the last report came: until the next one nothing is known
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._ended = threading.Event()

    def run(self, after_report: Callable[[], None] = lambda: None) -> None:
        """Work until the end, an error or a stop; never raises. Does nothing if it was stopped before."""
        with self._lock:
            # Let go of what the task is made from: a finished run must not keep its network in memory.
            make_task, self._make_task = self._make_task, None
            if make_task is None or self.ended:
                return
            self.began = time.monotonic()
        try:
            self.result = self._exhaust(make_task(), after_report)
            self.weight = weight(self.result)
        except BaseException as error:  # shown on the pages that wait for it
            if not isinstance(error, FeatureError):
                LOG.exception("The job %r failed", self.key)
            self.error = _without_frames(error)
        finally:
            self._ended.set()

    def _exhaust(self, task: Task[Any], after_report: Callable[[], None]) -> Any:
        try:
            while not self._stopped.is_set():
                self._note(next(task))
                after_report()
            return None
        except StopIteration as end:
            return end.value
        finally:
            task.close()

    def _note(self, progress: Progress) -> None:
        """Keep a report; another kind of step has a pace of its own."""
        before = self.progress
        if progress == before:  # nothing is known that was not, and a pace must not count the time since
            return
        if before is not None and (before.unit, before.total) != (progress.unit, progress.total):
            self.began, self._done_before = time.monotonic(), progress.done
        self.progress, self._reported = progress, time.monotonic()

    def stop(self) -> None:
        """Have the task closed at its next report; a run that waits ends at once."""
        self._stopped.set()
        with self._lock:
            if self.began is None and not self.ended:
                self._make_task = None
                self._note_of_waiting.erase()
                self._ended.set()

    def wait(self, timeout: float) -> bool:
        """True as soon as the run has ended, False after `timeout` seconds."""
        return self._ended.wait(timeout)

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop. Nobody waits for it any more."""
        return self._stopped.is_set()

    @property
    def pace(self) -> float | None:
        """Units per second up to the last report; None while there is none."""
        if self.began is None or self._reported is None or self.progress is None:
            return None
        done = self.progress.done - max(self._done_before, self.progress.before)
        return done / max(self._reported - self.began, 1e-9) if done > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the pace so far; None while there is none."""
        if self.progress is None or self.pace is None:
            return None
        since = 0.0 if self._reported is None else time.monotonic() - self._reported
        return max(0.0, (self.progress.total - self.progress.done) / self.pace - since)


def _without_frames(error: BaseException) -> BaseException:
    """The same error, without the frames of its traceback: they hold networks and batches."""
    chain: list[BaseException | None] = [error]
    seen: set[int] = set()
    while chain:
        link = chain.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            link.__traceback__ = None
            chain += [link.__cause__, link.__context__]
    return error
