"""Tasks that tests hold and release by hand."""

import threading

from features.progress import Progress
from viz.jobs import Work

PATIENCE = 30


class Held:
    """A task of two reports that stops between them until it is released, and notes what happens to it."""

    def __init__(self):
        self.started, self.released = threading.Event(), threading.Event()
        self.notes = []

    def task(self):
        try:
            self.notes.append("started")
            yield Progress(1, 2, "step")
            self.started.set()
            assert self.released.wait(PATIENCE)
            yield Progress(2, 2, "step")
            self.notes.append("went on")
            return "result"
        finally:
            self.notes.append("closed")

    def work(self, key="held", **settings):
        return Work(key, self.task, **settings)


def gives(value):
    """What makes a task of one report that returns this value."""

    def task():
        yield Progress(1, 1, "step")
        return value

    return task


def finished(run):
    assert run.wait(PATIENCE)
    return run.result
