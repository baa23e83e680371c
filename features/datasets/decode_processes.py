"""Decodes images in processes, since Pillow holds Python's lock for much of the time that a JPEG takes.

Files are read here, by whatever knows how to, and only their bytes are handed on: every set of files can so be decoded
elsewhere, errors say what they say here, and nothing has to be listed or opened twice. Pixels come back through a pipe
right into the batch that they belong to. There is no shared memory that could be left behind.
"""

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from features.datasets.decode_worker import READY, REPLY, REQUEST
from features.datasets.images import decode
from features.errors import ImageError
from features.networks.preprocessing import Preprocessing

ROOT = Path(__file__).parents[2]  # of the package
PIPE_BYTES = 1 << 20  # so that an image's file or pixels fit in at once, where the system allows it
IDLE_SECONDS = 30.0  # for which processes are kept for whoever comes next

Buffer = TypeVar("Buffer", bytearray, memoryview)


class Processes:
    """Processes that decode for any number of threads.

    While they start, and where one has ended unexpectedly, the thread that asks decodes by itself: nobody waits, and
    what is wrong with an image is found as ever.
    """

    def __init__(self, preprocessing: Preprocessing, number: int) -> None:
        self.preprocessing, self.number = preprocessing, number
        self._idle: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        self._serving = 0  # processes that are ready, idle or not
        self._lock = threading.Lock()
        self._closed = False
        self.damaged = False  # whether a process has ended by itself
        self.users = 0
        self.timer: threading.Timer | None = None
        self._workers = [_Worker(preprocessing) for _ in range(number)]
        self._starting = number
        for worker in self._workers:
            threading.Thread(target=self._admit, args=(worker,), name="decoder starts", daemon=True).start()

    def frame(self, data: bytes, name: str, out: np.ndarray) -> None:
        """Write an image file's pixels to `out`, (C, S, S) uint8. Raises ImageError as `decode` does."""
        worker = self._take()
        if worker is not None:
            try:
                reason = worker.frame(data, name, out)
            except (OSError, EOFError, ValueError):  # it has ended, or was closed
                self._lose(worker)
            else:
                self._idle.put(worker)
                if reason:
                    raise ImageError(reason)
                return
        out[:] = self.preprocessing.framed_array(decode(data, name))

    def close(self) -> None:
        """End all processes; threads that still ask decode by themselves."""
        with self._lock:
            self._closed, self._serving = True, 0
        for worker in self._workers:
            worker.close()
        self._idle.put(None)  # for whoever waits for one

    def _admit(self, worker: "_Worker") -> None:
        ready = worker.wait()
        with self._lock:
            self._starting -= 1
            self.damaged |= not ready
            if ready and not self._closed:
                self._serving += 1
                self._idle.put(worker)

    def _take(self) -> "_Worker | None":
        """An idle process, waited for once all are ready; None for whoever has to decode by itself."""
        with self._lock:
            waits = self._serving > 0 and not self._starting
        try:
            worker = self._idle.get(block=waits)
        except queue.Empty:
            return None
        if worker is None:  # there is none any more, which is to be told to all who wait
            self._idle.put(None)
        return worker

    def _lose(self, worker: "_Worker") -> None:
        worker.close()
        self.damaged = True
        with self._lock:
            self._serving = max(0, self._serving - 1)
            if not self._serving:
                self._idle.put(None)


class _Worker:
    """One process and the two pipes to it."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        # More threads of a library for linear algebra, which nothing here calls, would only take time to start.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "features.datasets.decode_worker", json.dumps(preprocessing.settings())]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=-1
        )
        self.requests, self.replies = (
            cast(BufferedWriter, self.process.stdin),
            cast(BufferedReader, self.process.stdout),
        )
        for pipe in (self.requests, self.replies):
            with suppress(ImportError, AttributeError, OSError):  # a system without it, or more than it allows
                import fcntl

                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def wait(self) -> bool:
        """Whether it has become ready, waited for."""
        try:
            return self.replies.read(1) == READY
        except (OSError, ValueError):
            return False

    def frame(self, data: bytes, name: str, out: np.ndarray) -> str:
        """Fill `out` with an image's pixels; returns why it cannot be read, '' if it can."""
        title = name.encode("utf-8", "surrogatepass")
        self.requests.write(REQUEST.pack(len(title), len(data)) + title)
        self.requests.write(data)
        self.requests.flush()
        (size,) = REPLY.unpack(self._read(bytearray(REPLY.size)))
        if size:
            return self._read(bytearray(size)).decode("utf-8", "surrogatepass")
        self._read(out.data.cast("B"))
        return ""

    def _read(self, into: Buffer) -> Buffer:
        if self.replies.readinto(into) < len(into):
            raise EOFError("a process that decodes images has ended")
        return into

    def close(self) -> None:
        """End it, whatever it is at: it holds nothing that could be lost."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.requests, self.replies):  # a thread that still reads is told of the end
            with suppress(OSError, ValueError):
                pipe.close()


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
            if not processes.users:
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
