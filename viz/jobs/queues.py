"""Runs of one kind of work, one after another, and the latest results."""

import os
import queue
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from viz.jobs.run import Run
from viz.jobs.work import Work

KEPT, KEPT_BYTES = 24, 2 * 2**30  # results, of which the latest is kept however large it is


@dataclass(frozen=True)
class Place:
    """Where a run stands: number `number` of `length` in its queue, the running one being the first.

    seconds: until it starts. exact: whether that is known of all ahead of it, else it is the least; None: not known.
    """

    number: int
    length: int
    seconds: float | None
    exact: bool


class JobQueue:
    """Runs by key, in the order in which they were asked for. The latest results are kept.

    nice: the priority of the thread, as `nice` counts. after_report, on_end: called in the thread.
    """

    def __init__(
        self,
        name: str,
        nice: int = 0,
        after_report: Callable[[], None] = lambda: None,
        on_end: Callable[[Run], None] = lambda run: None,
    ) -> None:
        self._nice, self._after_report, self._on_end = nice, after_report, on_end
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._line: list[Run] = []  # that wait or run; also those that were told to stop and have not yet
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[Run] = queue.SimpleQueue()
        # One at a time: two would only slow each other down on the same device. A daemon, so that the server can end.
        threading.Thread(target=self._work, daemon=True, name=f"{name} jobs").start()

    def _work(self) -> None:
        lower_priority(self._nice)
        while True:
            run = self._waiting.get()
            run.run(self._after_report)
            self._on_end(run)

    def get(self, work: Work) -> Run:
        """The run of this work; a new one if there is none, or it failed, or it was told to stop."""
        with self._lock:
            run = self._runs.get(work.key)
            if run is None or run.stopped or run.error is not None:
                run = self._runs[work.key] = Run(work)
                self._line.append(run)
                work.note.write()  # before it can begin
                self._waiting.put(run)
            if run.ended:  # the others stay in the order in which they run
                self._runs.move_to_end(work.key)
            self._make_room(run)
            return run

    def _make_room(self, wanted: Run) -> None:
        """Let go of what was asked for least lately: of more than KEPT runs, and of more than KEPT_BYTES."""
        bytes_held = sum(run.weight for run in self._runs.values())
        for key, run in list(self._runs.items()):
            if len(self._runs) <= KEPT and bytes_held <= KEPT_BYTES:
                break
            if run.ended and run is not wanted:
                del self._runs[key]
                bytes_held -= run.weight

    def knows(self, key: str) -> bool:
        """Whether there is a run of this key that waits, runs or has a result."""
        with self._lock:
            run = self._runs.get(key)
        return run is not None and not run.stopped and run.error is None

    def has_result(self, key: str) -> bool:
        """Whether the run of this key is done."""
        with self._lock:
            run = self._runs.get(key)
        return run is not None and run.ended and self.knows(key)

    def forget(self, run: Run) -> None:
        """Let the next `get` of its key start anew, unless somebody has done so already."""
        with self._lock:
            if self._runs.get(run.key) is run:
                del self._runs[run.key]

    def unfinished(self) -> list[Run]:
        """What runs and waits, in order."""
        with self._lock:
            self._line = [run for run in self._line if not run.ended]
            return list(self._line)

    def place(self, run: Run) -> Place:
        """Where a run stands in the queue."""
        line = self.unfinished()
        ahead = line[: line.index(run)] if run in line else []
        known = [seconds for other in ahead if (seconds := other.seconds_left) is not None]
        return Place(len(ahead) + 1, len(line), sum(known) if known else None, len(known) == len(ahead))


def lower_priority(nice: int) -> None:
    """Let other threads go first, where the system gives every thread a priority of its own.

    Threads that this one starts inherit it, those of PyTorch's operations among them.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(nice, os.getpriority(os.PRIO_PROCESS, thread)))
