"""Work in processes of their own, which outlive the server and are found again by those after it."""

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from features import files
from features.errors import FeatureError
from features.progress import Progress, Task
from viz.jobs import records, results
from viz.jobs.records import DONE, FAILED, RUNNING, Order, Record, State
from viz.jobs.tasks import TASKS
from viz.jobs.work import LONG, Note, Work

WORKER = ("-m", "viz.jobs.worker")
ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.3
KILL_SECONDS = 20  # for a worker to close its task: a step of a large network may take seconds
LAST_SECONDS = 3  # the same, for those that must end with the server
STARTING = Progress(0, 0, "step", "starting a process for it")

_goes_with_server: set[Record] = set()


class Interrupted(FeatureError):
    """The process that worked on something has ended without a result. What it has written stays."""


class WorkerError(Exception):
    """What was not foreseen happened in a process; the text is the end of its log."""


def in_process(
    key: str,
    task: str,
    arguments: dict[str, Any],
    durable: bool = True,
    attached: Mapping[str, Any] | None = None,
) -> Work:
    """Work for a process of its own.

    task: a name of `tasks.TASKS`; arguments: of it, as JSON has them; attached: those that JSON does not have, None for
    what is attached to its record already. durable: False where what it reads or writes goes with the server, so that
    it must end then, and nothing of it is left for the next.
    """
    order = Order(key, task, arguments)
    note = WaitingNote(order, attached) if durable else Note()
    make_task, resumes = partial(_attend, order, durable, attached), TASKS[task].read is not None
    return Work(key, make_task, LONG, lasting=True, resumes=resumes, note=note)


@dataclass(frozen=True, eq=False)
class WaitingNote(Note):
    """On disk: the order, and that it waits."""

    order: Order
    attached: Mapping[str, Any] | None

    def write(self) -> None:
        record = Record.of(self.order.key)
        with suppress(OSError):  # a full disk: it waits all the same, but not beyond this server
            record.write_order(self.order, self.attached)
            record.wait()

    def erase(self) -> None:
        with suppress(OSError):
            Record.of(self.order.key).wait_no_more()


def standing(key: str) -> State | None:
    """What is known on disk of work in a process: whether it runs, or how it ended. None if it was never begun."""
    return Record.of(key).standing()


def kept(key: str) -> bool:
    """Whether the result of work in a process is on disk, so that asking for it takes a moment."""
    record = Record.of(key)
    state = record.state()
    return state is not None and state.status == DONE and _is_of_this_code(state) and record.result.exists()


def left_by_others() -> list[Work]:
    """What other servers than this have begun, and processes still work on; and what waited there."""
    orders = [record.order() for record in (*records.running(), *records.waiting())]
    return [in_process(order.key, order.task, order.arguments) for order in orders if order and order.task in TASKS]


def _attend(order: Order, durable: bool, attached: Mapping[str, Any] | None) -> Task[Any]:
    """Start the process for an order, or join the one that is on it; pass its reports on until it ends.

    What an earlier one has finished is read. Closing the task ends the process.
    """
    record = Record.of(order.key)
    alive, before = record.alive(), record.state()
    if not alive and before is not None and before.status == DONE and _can_be_read(order, before):
        with suppress(FeatureError):  # somebody has taken it away
            result = _result(record, order, before)
            record.wait_no_more()
            return result
    worker = Worker(record, None, None) if alive else Worker(record, before, _start(record, order, attached))
    with suppress(OSError):
        record.wait_no_more()
    if not durable:
        _end_with_server(record)
    progress = STARTING  # not at the pace of what was done before this server looked
    try:
        yield progress
        while (state := worker.look()) is None or state.status == RUNNING:
            progress = (state and state.progress) or progress  # None also while it ends
            yield progress
            time.sleep(POLL_SECONDS)
        yield state.progress or progress  # the last
    except GeneratorExit:
        worker.end(KILL_SECONDS)
        raise
    return _outcome(record, order, state)


def _start(record: Record, order: Order, attached: Mapping[str, Any] | None) -> subprocess.Popen:
    try:
        record.write_order(order, attached)
        records.clear_up()
        log = record.log.open("wb")
    except OSError as error:
        reason = error.strerror or str(error)
        raise FeatureError(
            f"{records.jobs_folder()}, where long work is kept, cannot be written to: {reason}. Make room there, or "
            "start the app with another XDG_CACHE_HOME."
        ) from error
    with log:
        return subprocess.Popen(
            [sys.executable, *WORKER, str(record.folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # what ends the server from its terminal does not end this
        )


@dataclass(frozen=True)
class Worker:
    """The process on a record. before: what the worker before it wrote last. process: None if others started it."""

    record: Record
    before: State | None
    process: subprocess.Popen | None

    @property
    def running(self) -> bool:
        return (self.process is not None and self.process.poll() is None) or self.record.alive()

    def look(self) -> State | None:
        """What it wrote last; None while it starts.

        Raises Interrupted if it has ended without a word, WorkerError if it never began.
        """
        running, state = self.running, self.record.state()  # in this order: it writes how it ended before it does
        fresh = state if state != self.before else None
        if running:
            return fresh if fresh is not None and fresh.status == RUNNING else None
        if fresh is None:
            raise WorkerError(f"The process did not begin. {self.record.end_of_log()}")
        if fresh.status == RUNNING:
            raise Interrupted(f"The process that worked on this was ended from outside{_how_far(fresh)}.")
        return fresh

    def end(self, seconds: float) -> None:
        """End it by a word, and by force if it has not listened for so long."""
        until = time.monotonic() + seconds
        while self.running:
            self._signal(signal.SIGTERM if time.monotonic() < until else signal.SIGKILL)
            time.sleep(POLL_SECONDS)

    def _signal(self, which: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(which)  # which knows whether it has ended
            return
        state = self.record.state()
        if state is not None and state.status == RUNNING and state.began == records.began(state.pid):
            os.kill(state.pid, which)


def _result(record: Record, order: Order, state: State) -> Any:
    """Raises FeatureError if it is not there any more."""
    read = TASKS[order.task].read
    return results.read(record.result) if read is None else read(state.result)


def _can_be_read(order: Order, state: State) -> bool:
    """Whether a result means what it would mean if it was measured now: what lies in a person's folder says so."""
    return TASKS[order.task].read is not None or _is_of_this_code(state)


def _is_of_this_code(state: State) -> bool:
    return state.code == records.code()


def _outcome(record: Record, order: Order, state: State) -> Any:
    if state.status == DONE and not _can_be_read(order, state):
        raise Interrupted("This was measured by another version of this app.")
    if state.status == DONE:
        return _result(record, order, state)
    if state.status == FAILED and state.foreseen:
        raise FeatureError(state.error)
    if state.status == FAILED:
        raise WorkerError(record.end_of_log())
    raise Interrupted(f"This was stopped{_how_far(state)}.")


def _how_far(state: State) -> str:
    done = state.progress
    return f" after {done.done:,} of {done.total:,} {done.unit}s" if done is not None else ""


def _end_with_server(record: Record) -> None:
    atexit.unregister(_end_all)
    atexit.register(_end_all)  # again, so that it comes before the cleaning of folders that it may write to
    _goes_with_server.add(record)


def _end_all() -> None:
    for record in _goes_with_server:
        Worker(record, None, None).end(LAST_SECONDS)
        with suppress(OSError):
            files.remove_all(record.folder)
