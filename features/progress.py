"""How long work tells its caller where it stands: a generator of reports that returns its result."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """done of total units are finished; note names the present step."""

    done: int
    total: int
    unit: str
    note: str = ""


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
