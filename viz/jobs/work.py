"""What can be asked for, and the queue that it belongs to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from features.progress import Task

SHORT, LONG, DOWNLOAD, PREVIEW = KINDS = ("short", "long", "download", "preview")
LONG_SECONDS = 60  # longer than somebody looks at a progress bar, and so than anybody should wait behind another


class Note:
    """What is kept of work while it waits in a queue, for another server to find. This one keeps nothing."""

    def write(self) -> None:
        """It waits from now on. Never raises."""

    def erase(self) -> None:
        """It was told not to run after all."""


@dataclass(frozen=True, eq=False)
class Work:
    """A piece of work: the same key is the same work, whoever asks for it.

    key: made of digests and settings. make_task: makes the task, which runs to its end in the queue's thread.
    kind: the queue that it waits in, one of KINDS; `kind_of` tells by how long it takes, downloads and small pictures
    have queues of their own because they wait for the network and the disk.
    lasting: it goes on when all who waited for it have closed their tabs, and ends only by itself or by a cancel.
    resumes: a run that was stopped has written what the next one goes on from. note: of its waiting.
    """

    key: str
    make_task: Callable[[], Task[Any]]
    kind: str = SHORT
    lasting: bool = False
    resumes: bool = False
    note: Note = field(default_factory=Note)


def kind_of(seconds: float) -> str:
    """The queue for work that takes about this long."""
    return LONG if seconds > LONG_SECONDS else SHORT
