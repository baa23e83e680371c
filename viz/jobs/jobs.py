"""Who waits for which run: every visitor's interest is their own, the work is shared."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from viz.jobs.queues import JobQueue, Place
from viz.jobs.run import Run
from viz.jobs.work import DOWNLOAD, LONG, PREVIEW, SHORT, Work

GONE_SECONDS = 30  # a visitor without a connection for so long has closed the tab: a reload takes a moment
TIDY_SECONDS = 1.0
# Above 0 for the threads that draw pages. What a visitor looks at goes before what takes minutes.
NICENESS = {SHORT: 5, LONG: 10, DOWNLOAD: 5, PREVIEW: 5}


@dataclass(frozen=True, eq=False)
class Job:
    """One visitor's share in a run. run: None where this visitor has cancelled the work."""

    jobs: "Jobs"
    visitor: str
    work: Work
    run: Run | None

    def cancel(self) -> None:
        """Wait no longer. The run stops if nobody else waits for it."""
        self.jobs.cancel(self.visitor, self.work)

    def again(self) -> None:
        """Take back a cancel, or put a failed run aside: the next `ask` of this visitor starts or joins a run."""
        self.jobs.again(self.visitor, self.work)

    def forget(self) -> None:
        """Drop the result, so that the next `ask` of anybody starts anew."""
        self.jobs.forget(self)

    def renewed(self) -> "Job":
        """As if the visitor had asked just now, who may have been taken for gone meanwhile."""
        return self.jobs.ask(self.visitor, self.work)

    @property
    def place(self) -> Place:
        """Where the run stands in its queue."""
        assert self.run is not None
        return self.jobs.queues[self.work.kind].place(self.run)

    @property
    def others(self) -> int:
        """How many other visitors wait for the same run."""
        return len(self.jobs.who_waits_for(self.run) - {self.visitor})


class Jobs:
    """The queues of one server, and who waits in them for what.

    A run lives as long as somebody waits for it. A visitor waits from asking until the result, until they cancel, or
    until they have been away for GONE_SECONDS; work that lasts is not stopped by anybody's going away, only by a cancel
    when no other visitor waits. A cancel is the visitor's own: nobody else is shown it, and whoever asks later starts
    the work anew or joins it. A failure is shown to everybody who waited, and the next `ask` after that tries again.

    present: whether a visitor is connected. clock: seconds.
    """

    def __init__(
        self, present: Callable[[str], bool] = lambda visitor: True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.queues = {kind: JobQueue(kind, nice, self._tidy_at_times, self._ended) for kind, nice in NICENESS.items()}
        self._present, self._clock = present, clock
        self._lock = threading.RLock()
        self._waits: dict[tuple[str, str], Run] = {}  # of (visitor, key), until the result is there or an error is told
        self._cancels: set[tuple[str, str]] = set()
        self._absent: dict[str, float] = {}  # since when
        self._tidied = clock()

    def ask(self, visitor: str, work: Work) -> Job:
        """A visitor's share in the run of this work, which is started if there is none."""
        asked = visitor, work.key
        with self._lock:
            self._absent.pop(visitor, None)  # what they were missed at before is over, even if nobody looked since
            self.tidy()
            if asked in self._cancels:
                return Job(self, visitor, work, None)
            run = self._waits.get(asked)  # which may have failed, and this visitor not been told
            if run is None or run.stopped:
                run = self.queues[work.kind].get(work)
            self._waits[asked] = run
            if run.ended and run.error is None:
                del self._waits[asked]
            return Job(self, visitor, work, run)

    def cancel(self, visitor: str, work: Work) -> None:
        with self._lock:
            self._cancels.add((visitor, work.key))
            run = self._waits.pop((visitor, work.key), None)
            if run is not None and not self.who_waits_for(run):
                run.stop()

    def again(self, visitor: str, work: Work) -> None:
        with self._lock:
            self._cancels.discard((visitor, work.key))
            self._waits.pop((visitor, work.key), None)

    def forget(self, job: Job) -> None:
        if job.run is not None:
            self.queues[job.work.kind].forget(job.run)

    def who_waits_for(self, run: Run | None) -> set[str]:
        """The visitors who wait for a run."""
        with self._lock:
            return {visitor for (visitor, _), other in self._waits.items() if other is run}

    def unfinished(self) -> list[Run]:
        """What waits and runs, in all queues."""
        return [run for waiting in self.queues.values() for run in waiting.unfinished()]

    def knows(self, work: Work) -> bool:
        """Whether anybody's run of this work waits, runs or has a result."""
        return self.queues[work.kind].knows(work.key)

    def has_result(self, work: Work) -> bool:
        """Whether the result of this work can be had at once."""
        return self.queues[work.kind].has_result(work.key)

    def busy(self, kind: str) -> bool:
        """Whether anything waits or runs in a queue."""
        return bool(self.queues[kind].unfinished())

    def adopt(self, work: Work) -> None:
        """Put work in its queue for which no visitor has asked: what an earlier server left."""
        self.queues[work.kind].get(work)

    def tidy(self) -> None:
        """Let go of visitors who have been away for GONE_SECONDS, and stop what nobody waits for then."""
        now = self._clock()
        with self._lock:
            self._tidied = now
            for visitor in {visitor for visitor, _ in (*self._waits, *self._cancels)}:
                if self._present(visitor):
                    self._absent.pop(visitor, None)
                elif now - self._absent.setdefault(visitor, now) >= GONE_SECONDS:
                    self._let_go(visitor)

    def _let_go(self, visitor: str) -> None:
        del self._absent[visitor]
        self._cancels = {asked for asked in self._cancels if asked[0] != visitor}
        for asked in [asked for asked in self._waits if asked[0] == visitor]:
            run = self._waits.pop(asked)
            if not run.lasting and not self.who_waits_for(run):
                run.stop()

    def _tidy_at_times(self) -> None:
        """At a run's reports: whoever runs stops by itself if all who waited are gone."""
        if self._clock() - self._tidied >= TIDY_SECONDS:
            self.tidy()

    def _ended(self, run: Run) -> None:
        """Nobody waits for what is there; those who wait for one that failed are still to be told."""
        if run.error is None:
            with self._lock:
                self._waits = {asked: other for asked, other in self._waits.items() if other is not run}
