"""Decodes images in processes, since Pillow holds Python's lock for much of the time that a JPEG takes.

That lock is what a GPU's next batch waits for, so that little is done under it here: a process is asked for several
images at once, reads those itself that are files of this machine, and leaves their pixels in memory that both share.
Other files are read here, by whatever knows how to, and their bytes handed on. Only a process's inherited file leads to
the memory, and a pipe does where a system has no such files: nothing could be left behind.
"""

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import cast

import numpy as np

from features.datasets.decode_worker import READY, mapped
from features.datasets.image_set import FileOpener
from features.errors import ImageError
from features.networks.preprocessing import Preprocessing

CHUNK = 8  # images of a request: the more, the less there is to do for each; the last of a set wait for the slowest
CHUNK_BYTES = 1 << 21  # of a request's pixels, so that large images need no more memory
SLOTS = 2  # requests that a process has at a time: it goes on with one while the other's pixels are fetched
PIPE_BYTES = 1 << 20  # so that a request's files fit in at once, where the system allows it
IDLE_SECONDS = 30.0  # for which processes are kept for whoever comes next
# The package that the module lies in opens sets of every kind. Its imports would take most of a process's start.
PROGRAM = """
import sys
root, folder, arguments = sys.argv[1:]
sys.path.insert(0, root)
from types import ModuleType
package = sys.modules["features.datasets"] = ModuleType("features.datasets")
package.__path__ = [folder]
from features.datasets import decode_worker
decode_worker.main(arguments)
"""


@dataclass(frozen=True, eq=False)
class _Request:
    """Images to be decoded to `out`, (N, C, S, S) uint8. reasons: why each cannot be read, '' for those that can."""

    opener: FileOpener
    rows: range
    out: np.ndarray
    reasons: Future[list[str]] = field(default_factory=Future)


class Processes:
    """Processes that decode for any number of threads. Each is served by as many threads as it has slots.

    While it starts, and where it has ended unexpectedly, its thread decodes by itself: nobody waits, and what is wrong
    with an image is found as ever.
    """

    def __init__(self, preprocessing: Preprocessing, number: int) -> None:
        self.preprocessing, self.number = preprocessing, number
        image = (preprocessing.channels, preprocessing.crop, preprocessing.crop)
        self.chunk = int(np.clip(CHUNK_BYTES // np.prod(image), 1, CHUNK))
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.closed = False
        self.damaged = False  # whether a process has ended by itself
        self.users = 0
        self.timer: threading.Timer | None = None
        self._workers = [_Worker(preprocessing, (SLOTS, self.chunk, *image)) for _ in range(number)]
        self._threads = [
            threading.Thread(target=self._serve, args=(worker, slot), name="decoder", daemon=True)
            for worker in self._workers
            for slot in range(SLOTS)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def capacity(self) -> int:
        """Images that all processes have at a time."""
        return self.number * SLOTS * self.chunk

    def submit(self, opener: FileOpener, rows: range, out: np.ndarray) -> list[Future[list[str]]]:
        """Have images' pixels written to `out`, (N, C, S, S) uint8.

        What comes of each few of them, in order: why an image cannot be read, as `decode` says it, '' if it can.
        """
        size = min(self.chunk, -(-len(rows) * SLOTS // self.number))  # a small batch comes soon, by many processes
        starts = range(0, len(rows), size)
        requests = [_Request(opener, rows[start : start + size], out[start : start + size]) for start in starts]
        with self._lock:
            closed = self.closed
            if not closed:
                for request in requests:
                    self._requests.put(request)
        if closed:
            for request in requests:
                request.reasons.set_result([self._decode(request, index) for index in range(len(request.rows))])
        return [request.reasons for request in requests]

    def close(self) -> None:
        """End all processes; what has been submitted is decoded here."""
        with self._lock:
            if not self.closed:
                self.closed = True
                self._requests.put(None)
        for worker in self._workers:
            worker.close()

    def join(self) -> None:
        """Wait until all that had been submitted when they were closed is decoded."""
        for thread in self._threads:
            thread.join()

    def _serve(self, worker: "_Worker", slot: int) -> None:
        if slot:  # the first thread need not wait for the process, the others have nothing to do without it
            worker.wait()
            self.damaged |= not worker.ready
        while (request := self._requests.get()) is not None:
            if request.reasons.set_running_or_notify_cancel():
                try:
                    request.reasons.set_result(self._answer(request, worker, slot))
                except BaseException as error:  # which is whoever's who asked
                    request.reasons.set_exception(error)
            del request  # whose pixels may be large
        self._requests.put(None)  # for the next thread

    def _answer(self, request: _Request, worker: "_Worker", slot: int) -> list[str]:
        reasons: list[str] = []
        while len(reasons) < len(request.rows) and not worker.ready:
            reasons.append(self._decode(request, len(reasons)))
        done = len(reasons)
        if done < len(request.rows):
            entries = [_entry(request.opener, row) for row in request.rows[done:]]
            try:
                replies = worker.decode(slot, entries, request.out[done:])
            except (OSError, EOFError, ValueError):  # it has ended, or was closed
                worker.close()
                self.damaged = True
                replies = [None] * len(entries)
            reasons += [
                self._decode(request, index) if reply is None else reply for index, reply in enumerate(replies, done)
            ]
        return reasons

    def _decode(self, request: _Request, index: int) -> str:
        """Do without a process. Returns why the image cannot be read, '' if it can."""
        try:
            request.out[index] = self.preprocessing.framed_array(request.opener(request.rows[index]))
        except ImageError as error:
            return str(error)
        return ""


@dataclass(frozen=True)
class _Entry:
    """An image's file for a process: its path, or else its bytes. name: what to call it in an error."""

    name: str
    path: str | None
    data: bytes = b""


def _entry(opener: FileOpener, row: int) -> _Entry:
    if opener.path is not None:
        path, name = opener.path(row)
        return _Entry(name, path)
    try:
        data, name = opener.read(row)
    except ImageError:  # as a file that a process cannot read
        return _Entry("", "")
    return _Entry(name, None, data)


class _Worker:
    """One process, two pipes to it, and the memory that it leaves pixels in.

    shape: of the memory: slots, images, C, S, S.
    """

    def __init__(self, preprocessing: Preprocessing, shape: tuple[int, ...]) -> None:
        descriptor = _shared_file(int(np.prod(shape)))
        self.is_shared = descriptor is not None
        self.memory = np.empty(shape, np.uint8) if descriptor is None else mapped(descriptor, shape)
        self.process = _started(json.dumps([preprocessing.settings(), shape, descriptor]), descriptor)
        if descriptor is not None:
            os.close(descriptor)
        self.requests, self.replies = (
            cast(BufferedWriter, self.process.stdin),
            cast(BufferedReader, self.process.stdout),
        )
        with suppress(ImportError, AttributeError, OSError):  # a system without it, or more than it allows
            import fcntl

            fcntl.fcntl(self.requests.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.ready = False
        self._sending, self._receiving = threading.Lock(), threading.Lock()
        self._received: dict[int, list[str | None]] = {}  # slot -> its reply, read by another's thread

    def wait(self) -> None:
        """Until it is ready, or has ended."""
        with suppress(OSError, ValueError):
            self.ready = self.replies.read(1) == READY

    def decode(self, slot: int, entries: list[_Entry], out: np.ndarray) -> list[str | None]:
        """Fill `out` with images' pixels, of which only one thread may ask for a slot at a time.

        Returns of each why it cannot be decoded, '' if it can, None if its file could not be read. Raises OSError,
        EOFError or ValueError if the process is gone.
        """
        line = json.dumps([slot, [[entry.name, entry.path, len(entry.data)] for entry in entries]])
        with self._sending:
            self.requests.write(line.encode() + b"\n")
            for entry in entries:
                self.requests.write(entry.data)
            self.requests.flush()
        with self._receiving:
            while slot not in self._received:
                self._receive()
            replies = self._received.pop(slot)
        out[:] = self.memory[slot, : len(out)]  # numpy lets go of Python's lock meanwhile
        return replies

    def _receive(self) -> None:
        line = self.replies.readline()
        if not line.endswith(b"\n"):
            raise EOFError("a process that decodes images has ended")
        slot, replies = json.loads(line)
        if not self.is_shared:
            pixels = self.memory[slot, : len(replies)].data.cast("B")
            if self.replies.readinto(pixels) < len(pixels):
                raise EOFError("a process that decodes images has ended")
        self._received[slot] = replies

    def close(self) -> None:
        """End it, whatever it is at: it holds nothing that could be lost."""
        self.ready = False
        self.process.kill()
        self.process.wait()
        for pipe in (self.requests, self.replies):  # a thread that still reads is told of the end
            with suppress(OSError, ValueError):
                pipe.close()


def _shared_file(n_bytes: int) -> int | None:
    """The number of a file without a name in memory, None on a system that has no such files, or not as large."""
    with suppress(AttributeError, OSError):
        descriptor = os.memfd_create("decoded images")
        try:
            os.ftruncate(descriptor, n_bytes)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
    return None


def command(arguments: str) -> list[str]:
    """What starts a process, whatever lies in the folder that one is in. arguments: of `decode_worker.main`."""
    folder = Path(__file__).parent
    return [sys.executable, "-c", PROGRAM, str(folder.parents[1]), str(folder), arguments]


def _started(arguments: str, descriptor: int | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # More threads of a library for linear algebra, which nothing here calls, would only take time to start.
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        bufsize=-1,
        pass_fds=() if descriptor is None else (descriptor,),
    )


_LOCK = threading.Lock()
_KEPT: dict[tuple[Preprocessing, int], Processes] = {}


@contextmanager
def shared(preprocessing: Preprocessing, number: int) -> Iterator[Processes]:
    """Processes for some time, kept a while for whoever comes next, since starting them takes a second or so."""
    key = preprocessing, number
    with _LOCK:
        processes = _KEPT.get(key)
        if processes is None or processes.damaged:
            processes = _KEPT[key] = Processes(preprocessing, number)
        processes.users += 1
        if processes.timer is not None:
            processes.timer.cancel()
    try:
        yield processes
    finally:
        with _LOCK:
            processes.users -= 1
            if not processes.users and not processes.closed:  # when Python ends no thread can be started
                idle = 0.0 if processes.damaged else IDLE_SECONDS
                processes.timer = threading.Timer(idle, _retire, (key, processes))
                processes.timer.daemon = True
                processes.timer.start()


def _retire(key: tuple[Preprocessing, int], processes: Processes) -> None:
    with _LOCK:
        if processes.users:
            return
        if _KEPT.get(key) is processes:
            del _KEPT[key]
    processes.close()


@atexit.register
def close_all() -> None:
    """End all processes that are kept."""
    with _LOCK:
        kept = list(_KEPT.values())
        _KEPT.clear()
    for processes in kept:
        if processes.timer is not None:
            processes.timer.cancel()
        processes.close()
        processes.join()  # a stream that is closed only when Python ends would wait for threads that are no more
