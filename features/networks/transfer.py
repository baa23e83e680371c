"""Waits for a download that another library does, and reports how many megabytes have arrived."""

import threading
from collections.abc import Callable

from features.progress import Progress, Task

POLL_SECONDS = 0.2


def watched(work: Callable[[], object], arrived: Callable[[], int], total: int, name: str) -> Task[Exception | None]:
    """Run `work` in a thread; returns what it raised, or None.

    arrived: MiB that are here. total: MiB in all. Closing the task stops the waiting, not the transfer.
    """
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True, name=f"fetch {name}")
    thread.start()
    while thread.is_alive():
        yield Progress(min(total, _now(arrived)), total, "MB", name)
        thread.join(POLL_SECONDS)
    for error in failed:
        if not isinstance(error, Exception):
            raise error
        return error
    return None


def _now(arrived: Callable[[], int]) -> int:
    try:
        return arrived()
    except OSError:  # a part was moved to its own name in between
        return 0
