"""A worker that knows tasks of tests: it counts, and stops where a file in its folder says so."""

import os
import sys
import time
from pathlib import Path

from features.errors import FeatureError
from features.progress import Progress
from viz.jobs import worker
from viz.jobs.tasks import TASKS, LongTask


def count(folder: str, until: int, end: str = "done"):
    """Count on from what was counted before, a file a number, up to `until`; a file HOLD makes it wait where it is."""
    there = Path(folder)
    before = len(list(there.glob("*.counted")))
    try:
        for number in range(before, until):
            (there / f"{number}.counted").write_text(str(os.getpid()))
            while True:
                yield Progress(number + 1, until, "number", before=before)
                if not (there / "HOLD").exists():
                    break
                time.sleep(0.01)
        if end == "foreseen":
            raise FeatureError("These numbers do not fit. Choose others.")
        if end == "unforeseen":
            raise ZeroDivisionError("of numbers")
        return {"counted": until}
    finally:
        (there / "closed").touch()


def read(result):
    if result["counted"] > 1000:
        raise FeatureError("It was taken away.")
    return f"counted to {result['counted']}"


def double(values, times: int):
    """Values times a number, which are attached and kept as they are."""
    yield Progress(1, 1, "step")
    return values * times


TASKS["count"] = LongTask(count, read)
TASKS["double"] = LongTask(double)

if __name__ == "__main__":
    worker.REPORT_SECONDS = 0.0
    sys.exit(worker.main(Path(sys.argv[1])))
