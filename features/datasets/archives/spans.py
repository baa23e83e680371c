"""Files that are read at any place, and the parts of files that are files themselves, as archives inside archives."""

import errno
import io
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, Protocol, TypeVar, cast

from features import files

OPEN = 16  # files that one set holds open: a set of a thousand shards would use up what a process may have


@dataclass(frozen=True)
class Span:
    """A file, or a part of it. start: its first byte. size: of the part in bytes, None for all that follows."""

    path: Path
    start: int = 0
    size: int | None = None

    def open(self) -> IO[bytes]:
        """A binary file of these bytes, which can be sought in. Raises OSError as `files.need_no_pipe`."""
        files.need_no_pipe(self.path)
        file = self.path.open("rb")
        if not self.start and self.size is None:
            return file
        return cast(IO[bytes], _Window(file, self.start, self.size))

    def part(self, start: int, size: int) -> "Span":
        """Some of these bytes, as a span of the same file."""
        return Span(self.path, self.start + start, size)


class _Window(io.RawIOBase):
    def __init__(self, file: IO[bytes], start: int, size: int | None) -> None:
        self._file, self._start, self._at = file, start, 0
        self._size = file.seek(0, os.SEEK_END) - start if size is None else size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "a byte before the beginning was asked for")  # as files raise it
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self._size - self._at))
        self._file.seek(self._start + self._at)
        data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


class Closable(Protocol):
    def close(self) -> None: ...


Handle = TypeVar("Handle", bound=Closable)


class Handles(Generic[Handle]):
    """What is open of spans: at most some at a time, used by one thread at a time, and by each process its own.

    Neither a file's position nor a ZipFile may be shared by threads, or with the process that this one came from.
    """

    def __init__(self, opened: Callable[[Span], Handle]) -> None:
        self._opened, self._lock = opened, threading.Lock()
        self._process = os.getpid()
        self._held: OrderedDict[Span, Handle] = OrderedDict()

    @contextmanager
    def of(self, span: Span) -> Iterator[Handle]:
        with self._lock:
            if self._process != os.getpid():
                self._process = os.getpid()
                self._close_all()
            if span not in self._held:
                self._held[span] = self._opened(span)
            self._held.move_to_end(span)
            while len(self._held) > OPEN:
                self._held.popitem(last=False)[1].close()
            yield self._held[span]

    def _close_all(self) -> None:
        while self._held:
            self._held.popitem()[1].close()

    def __del__(self) -> None:
        with suppress(Exception):  # while Python ends, what closes files may be gone
            self._close_all()
