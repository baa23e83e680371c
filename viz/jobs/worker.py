"""The process that works on one record: `python -m viz.jobs.worker FOLDER`.

It takes from the record what to do, writes there how far it is, and closes its task when it is told to end.
"""

import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from filelock import Timeout

from features.errors import FeatureError
from viz.jobs import results
from viz.jobs.records import DONE, FAILED, RUNNING, STOPPED, Order, Record, State, began, code
from viz.jobs.tasks import TASKS, resolved

NICE = 10  # beside the server's 0: the scheduler gives this process a ninth of what it gives one that draws a page
REPORT_SECONDS = 0.5
TAKEN = 3  # the exit status if another worker is on the record


def main(folder: Path) -> int:
    """Work on a record until its end, an error or SIGTERM; the state that is written last tells which."""
    told_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_end.set())
    if hasattr(os, "nice"):
        os.nice(max(0, NICE - os.nice(0)))  # it may have been started by a thread that gives way itself
    record = Record(folder)
    try:
        with record.lock().acquire(timeout=5):  # somebody may be asking just now whether a worker is on it
            order = record.order()
            assert order is not None, f"{folder} holds no job"
            _write(record, order, _work(record, order, told_to_end))
    except Timeout:
        return TAKEN
    return 0


def _write(record: Record, order: Order, state: State) -> None:
    """Write a state, also if somebody has taken the record away meanwhile, as whoever clears a cache: work goes on."""
    if not record.folder.exists():
        record.write_order(order)
    record.write_state(state)


def _work(record: Record, order: Order, told_to_end: threading.Event) -> State:
    """The last state."""
    state = State(RUNNING, os.getpid(), began(os.getpid()), code=code())
    record.write_state(state)
    written = time.monotonic()
    todo = TASKS[order.task]
    try:
        task = todo.run(**resolved(order.arguments), **record.attached())
        try:
            while not told_to_end.is_set():
                state = replace(state, progress=next(task))
                if time.monotonic() - written >= REPORT_SECONDS:
                    with suppress(OSError):  # a full disk must not end work that writes to another
                        _write(record, order, state)
                    written = time.monotonic()
            return replace(state, status=STOPPED)
        except StopIteration as end:
            if todo.read is None:
                _write(record, order, state)
                results.write(record.result, end.value)
            return replace(state, status=DONE, result=None if todo.read is None else end.value)
        finally:
            task.close()
    except FeatureError as error:
        return replace(state, status=FAILED, error=str(error))
    except BaseException as error:
        traceback.print_exc()
        return replace(state, status=FAILED, error=type(error).__name__, foreseen=False)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
