"""Runs long tasks off the page's thread, one after another, so that any page can watch or cancel them."""

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from features.errors import FeatureError
from features.progress import Progress, Task

KEPT = 24
LOG = logging.getLogger(__name__)


class Job:
    """One task of a queue: waiting, running, done, failed or cancelled."""

    def __init__(self, queue: "Jobs", key: str, make_task: Callable[[], Task[Any]]) -> None:
        self.queue = queue
        self.key = key
        self.make_task: Callable[[], Task[Any]] | None = make_task
        self.progress: Progress | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.began: float | None = None  # when the present kind of step began
        self._done_before = 0
        self._reported: float | None = None  # when the last report came: until the next one nothing is known
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._ended = threading.Event()

    def run(self) -> None:
        """Work until the end, an error or a cancellation; never raises. Does nothing if it was cancelled before."""
        with self._lock:
            # Let go of what the task is made from: a finished job must not keep its network in memory.
            make_task, self.make_task = self.make_task, None
            if make_task is None or self.ended:
                return
            self.began = time.monotonic()
        try:
            self.result = self._exhaust(make_task())
        except BaseException as error:  # shown on the page that waits for it
            self.error = error
            if not isinstance(error, FeatureError):
                LOG.exception("The job %r failed", self.key)
        finally:
            self._ended.set()

    def _exhaust(self, task: Task[Any]) -> Any:
        try:
            while not self._cancelled.is_set():
                self._note(next(task))
            return None
        except StopIteration as end:
            return end.value
        finally:
            task.close()

    def _note(self, progress: Progress) -> None:
        """Keep a report; another kind of step has a pace of its own."""
        before = self.progress
        if before is not None and (before.unit, before.total) != (progress.unit, progress.total):
            self.began, self._done_before = time.monotonic(), progress.done
        self.progress, self._reported = progress, time.monotonic()

    def cancel(self) -> None:
        """Ask the task to stop at its next report; a waiting one ends at once."""
        self._cancelled.set()
        with self._lock:
            if self.began is None:
                self.make_task = None
                self._ended.set()

    def wait(self, timeout: float) -> bool:
        """True as soon as the job has ended, False after `timeout` seconds."""
        return self._ended.wait(timeout)

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

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


class Jobs:
    """The jobs of one server by key: asking twice for one key gives one job. The latest results are kept."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        # One at a time: two would only slow each other down on the same device. A daemon, so that the server can end.
        threading.Thread(target=self._work, daemon=True, name="jobs").start()

    def _work(self) -> None:
        while True:
            self._waiting.get().run()

    def get(self, key: str, make_task: Callable[[], Task[Any]]) -> Job:
        """The job of this key, started if there is none. A failed or cancelled one stays until `forget`."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None:
                job = self._jobs[key] = Job(self, key, make_task)
                self._waiting.put(job)
            if job.ended:  # the others stay in the order in which they run
                self._jobs.move_to_end(key)
            ended = [name for name, other in self._jobs.items() if other.ended and other is not job]
            for old in ended[: max(0, len(self._jobs) - KEPT)]:
                del self._jobs[old]
            return job

    def forget(self, job: Job) -> None:
        """Let the next `get` of its key start anew, unless somebody has done so already."""
        with self._lock:
            if self._jobs.get(job.key) is job:
                del self._jobs[job.key]

    @property
    def busy(self) -> bool:
        """Whether a job waits or runs."""
        with self._lock:
            return not all(job.ended for job in self._jobs.values())

    def ahead_of(self, job: Job) -> int:
        """How many jobs will run before this one."""
        with self._lock:
            waiting = [other for other in self._jobs.values() if not other.ended]
        return next((index for index, other in enumerate(waiting) if other is job), 0)
