"""How long work tells its caller where it stands: a generator of reports that returns its result."""

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """done of total units are finished, `before` of them by an earlier run; note names the present step."""

    done: int
    total: int
    unit: str
    note: str = ""
    before: int = 0


Task = Generator[Progress, None, Result]


def finish(task: Task[Result], report: Callable[[Progress], None] | None = None) -> Result:
    """Run a task to its end and return its result, handing each report to `report`."""
    while True:
        try:
            progress = next(task)
        except StopIteration as end:
            return end.value
        if report is not None:
            report(progress)


def retold(task: Task[Result], change: Callable[[Progress], Progress]) -> Task[Result]:
    """A task that is a part of a longer one: each of its reports as that one gives it. It is closed with that one."""
    with closing(task):
        while True:
            try:
                progress = next(task)
            except StopIteration as end:
                return end.value
            yield change(progress)


def part_of(progress: Progress, number: int, total: int, note: str) -> Progress:
    """The report of one of `total` parts of the same size as that of all: number is how many parts are done before."""
    return replace(progress, done=progress.done + number * progress.total, total=total * progress.total, note=note)


class Stopped(Exception):
    """Raised inside work whose task was closed."""


def threaded(work: Callable[[Callable[[Progress], None], threading.Event], Result], name: str = "task") -> Task[Result]:
    """Run what blocks as a task: its reports come out as they are made.

    work: gets a function to report with, and an event that is set when the task is closed; it then raises Stopped as
    soon as it can. name: of the thread that it runs in.
    """
    reports: queue.Queue[Progress | None] = queue.Queue()
    stopped = threading.Event()
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = work(reports.put, stopped)
        except Stopped:
            pass
        except BaseException as error:
            outcome["error"] = error
        finally:
            reports.put(None)

    threading.Thread(target=run, daemon=True, name=name).start()
    try:
        while (progress := reports.get()) is not None:
            yield progress
    finally:
        stopped.set()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]
