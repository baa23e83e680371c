"""What is on disk of work that runs in a process of its own: what it is, how far it is, and whether it lives."""

import hashlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import features
from features import files
from features.progress import Progress
from viz.jobs import results

RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"
KEPT_RECORDS, KEPT_BYTES = 100, 4 * 2**30
LOCK = ".lock"
LOG_BYTES = 4000  # of the end of a worker's log, for the server's

_looking = threading.Lock()  # two threads that look at once would take each other for a worker


@dataclass(frozen=True)
class Order:
    """What a process is to do. task: a name of `tasks.TASKS`; arguments: of it, as JSON has them."""

    key: str
    task: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class State:
    """How far a process is.

    status: 'running', 'done', 'failed' or 'stopped'. pid, began: of the process (see `began`). result: of the task, as
    JSON has it. error: a sentence for visitors, or the kind of an error that was not foreseen, of which the log says
    more. code: of the worker, see `code`.
    """

    status: str
    pid: int
    began: str | None
    progress: Progress | None = None
    result: Any = None
    error: str = ""
    foreseen: bool = True
    code: str = ""


@dataclass(frozen=True)
class Record:
    """The folder of a piece of work. A worker holds its lock as long as it lives, which the system lets go of when it
    dies, however it dies.
    """

    folder: Path

    @classmethod
    def of(cls, key: str) -> "Record":
        return cls(jobs_folder() / hashlib.sha256(key.encode()).hexdigest()[:32])

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def result(self) -> Path:
        """Where the result is kept of a task that keeps it here."""
        return self.folder / "result.pickle"

    @property
    def _attached(self) -> Path:
        return self.folder / "attached.pickle"

    @property
    def _waiting(self) -> Path:
        return self.folder / "waiting"

    def lock(self) -> FileLock:
        return FileLock(self.folder / LOCK)

    def alive(self) -> bool:
        """Whether a worker is on it."""
        if not (self.folder / LOCK).exists():  # asking for it would make one, and change the folder's time
            return False
        try:
            with _looking, self.lock().acquire(timeout=0.02, poll_interval=0.005):  # another server may be looking too
                return False
        except Timeout:
            return True

    def write_order(self, order: Order, attached: Mapping[str, Any] | None = None) -> None:
        """attached: arguments that JSON does not have; None for those that are there, or none."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if attached is not None:
            results.write(self._attached, dict(attached))
        files.write_whole(self.folder / "job.json", json.dumps(asdict(order), indent=1).encode())

    def attached(self) -> dict[str, Any]:
        """The arguments that JSON does not have. Raises ResultError if they cannot be read."""
        return results.read(self._attached) if self._attached.exists() else {}

    @property
    def waiting(self) -> bool:
        """Whether it waits in a server's queue, or did when that server ended."""
        return self._waiting.exists()

    def waiting_since(self) -> int:
        """When it began to wait, in nanoseconds. Raises OSError if it does not."""
        return self._waiting.stat().st_mtime_ns

    def wait(self) -> None:
        """Note that it waits."""
        self._waiting.touch()

    def wait_no_more(self) -> None:
        """Note that it was begun, or is not to be."""
        self._waiting.unlink(missing_ok=True)

    def order(self) -> Order | None:
        """What is to be done; None if that cannot be read, or belongs to another record."""
        try:
            order = Order(**json.loads((self.folder / "job.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        types = isinstance(order.key, str), isinstance(order.task, str), isinstance(order.arguments, dict)
        return order if all(types) and Record.of(order.key).folder.name == self.folder.name else None

    def write_state(self, state: State) -> None:
        files.write_whole(self.folder / "state.json", json.dumps(asdict(state)).encode())

    def state(self) -> State | None:
        """What the latest worker wrote, which says 'running' for ever if it was killed; None if there was none yet."""
        try:
            raw = json.loads((self.folder / "state.json").read_bytes())
            return State(**raw | {"progress": raw["progress"] and Progress(**raw["progress"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def standing(self) -> State | None:
        """As `state`, but 'stopped' if the worker has died."""
        alive = self.alive()  # asked first: a worker that ends between the two questions has written how
        state = self.state()
        return replace(state, status=STOPPED) if state is not None and state.status == RUNNING and not alive else state

    def end_of_log(self) -> str:
        try:
            return self.log.read_bytes()[-LOG_BYTES:].decode("utf-8", "replace")
        except OSError:
            return ""


def jobs_folder() -> Path:
    """Where records lie: beside the other things that can be made again."""
    return _usable(files.cache_folder("jobs"))


@cache
def _usable(folder: Path) -> Path:
    """A folder, or where it cannot be used, as in a home that is read-only, a temporary one for this server alone."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="resnet-explorer-jobs-"))


@cache
def code() -> str:
    """What tells the code that measures from earlier and later code, whose kept results may say something else."""
    told = hashlib.sha256()
    for root in features.__path__:
        for path in sorted(Path(root).rglob("*.py")):
            told.update(path.read_bytes())
    return told.hexdigest()


def running() -> Iterator[Record]:
    """The records that a worker is on."""
    return (record for record in _newest_first() if record.alive())


def waiting() -> list[Record]:
    """The records that wait, the longest first."""
    since: list[tuple[int, Record]] = []
    for record in _newest_first():
        with suppress(OSError):  # it does not wait, or not any more
            since.append((record.waiting_since(), record))
    return [record for _, record in sorted(since, key=lambda pair: pair[0])]


def clear_up() -> None:
    """Keep the latest records only, and no more than KEPT_BYTES of them."""
    size = 0
    for number, record in enumerate(_newest_first()):
        with suppress(OSError):  # another server clears up too
            size += sum(path.stat().st_size for path in files.entries(record.folder))
            if (number >= KEPT_RECORDS or size > KEPT_BYTES) and number and not record.waiting and not record.alive():
                files.remove_all(record.folder)


def _newest_first() -> list[Record]:
    written: list[tuple[float, Path]] = []
    for folder in files.entries(jobs_folder()):
        with suppress(OSError):  # it is taken away just now
            if (folder / "job.json").exists():
                written.append((folder.stat().st_mtime, folder))
    return [Record(folder) for _, folder in sorted(written, reverse=True)]


def began(pid: int) -> str | None:
    """When a process began, as its system counts: numbers of processes are used again. None where that is not told."""
    if sys.platform != "linux":
        return None
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
