"""Runs long tasks off the page's thread, one after another, so that any page can watch or cancel them."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from features.progress import Progress, Task

KEPT = 24


class Job:
    """One task: waiting, running, done, failed or cancelled."""

    def __init__(self, key: str, make_task: Callable[[], Task[Any]]) -> None:
        self.key = key
        self.make_task = make_task
        self.progress: Progress | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.began: float | None = None
        self._cancelled = threading.Event()
        self._ended = threading.Event()

    def run(self) -> None:
        """Work until the end, an error or a cancellation; never raises."""
        self.began = time.monotonic()
        try:
            self.result = self._exhaust(self.make_task())
        except BaseException as error:  # shown on the page that waits for it
            self.error = error
        finally:
            self._ended.set()

    def _exhaust(self, task: Task[Any]) -> Any:
        try:
            while not self._cancelled.is_set():
                self.progress = next(task)
            return None
        except StopIteration as end:
            return end.value
        finally:
            task.close()

    def cancel(self) -> None:
        """Ask the task to stop at its next report; a waiting one never starts."""
        self._cancelled.set()

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
    def seconds_left(self) -> float | None:
        """An estimate from the pace so far; None while there is none."""
        if self.began is None or self.progress is None or not self.progress.done:
            return None
        spent = time.monotonic() - self.began
        return spent * (self.progress.total - self.progress.done) / self.progress.done


class Jobs:
    """The jobs of one server by key: asking twice for one key gives one job. The latest results are kept."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        # One at a time: two would only slow each other down on the same device.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="jobs")

    def get(self, key: str, make_task: Callable[[], Task[Any]]) -> Job:
        """The job of this key, started if there is none. A failed or cancelled one stays until `forget`."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None:
                job = self._jobs[key] = Job(key, make_task)
                self._worker.submit(job.run)
            self._jobs.move_to_end(key)
            for old in [name for name, kept in self._jobs.items() if kept.ended][: max(0, len(self._jobs) - KEPT)]:
                del self._jobs[old]
            return job

    def forget(self, key: str) -> None:
        """Let the next `get` start anew."""
        with self._lock:
            self._jobs.pop(key, None)

    def ahead_of(self, job: Job) -> int:
        """How many jobs will run before this one."""
        with self._lock:
            waiting = [other for other in self._jobs.values() if not other.ended]
        return next((index for index, other in enumerate(waiting) if other is job), 0)
