"""Images in a tar, each read from where it lies; compressed tars are unpacked into the cache folder first."""

import tarfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from features.datasets import folders, images, kinds, samples, unpacking
from features.datasets.image_set import from_store, spelled
from features.datasets.kinds import Aside
from features.datasets.listing import Listing
from features.datasets.spans import Handles, Span
from features.errors import DatasetError, ImageError

BLOCK = 512
MOST_AT_ONCE = 64 << 20  # bytes of a header: extended ones say their own size, and are read whole
PADDING = 1 << 20  # bytes behind an archive's end in which is looked for another
INDICES = 8  # that are kept for images that are opened one by one
LINKS, DEVICES, SPARSE = "links", "devices and pipes", "files with holes (GNU tar's sparse files)"
ZEROS = bytes(BLOCK)


@dataclass(frozen=True, eq=False)
class Index:
    """Where the files of a tar lie.

    span: the tar, uncompressed. names: of its files, sorted; of two of one name the later counts, as when unpacking.
    starts, sizes: (N,) in bytes. notes: what is wrong with the tar as a whole.
    """

    span: Span
    names: list[str]
    starts: np.ndarray
    sizes: np.ndarray
    said: samples.Said
    aside: tuple[Aside, ...]
    notes: tuple[str, ...]


def is_tar(span: Span) -> bool:
    """Whether a file is a tar, compressed or not, by its first bytes."""
    with span.open() as file:
        head = file.read(BLOCK)
    return _is_header(unpacking.begins(span, BLOCK) if unpacking.is_packed(head) else head)


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")  # its checksum is right
    except tarfile.EOFHeaderError:
        return True  # an empty tar
    except tarfile.HeaderError:
        return False
    return True


def listing(span: Span, name: str, where: str, uri: str) -> Listing:
    """The files in a tar, of a WebDataset's samples the images with their labels. Raises DatasetError.

    uri: what the tar's own place is called in those of its members.
    """
    index = index_of(span, where)
    numbers, labels, aside = samples.images_of(index.names, index.said)
    mark = folders.mark(span.path)
    handles: Handles[IO[bytes]] = Handles(lambda plain: plain.open())

    def read(number: int) -> tuple[bytes, str]:
        row = numbers[number]
        shown = spelled(index.names[row])
        try:
            with from_store(index.span.path, shown), handles.of(_there(index.span, span, where)) as file:
                return _member(file, index, row), shown
        except (OSError, ValueError) as error:
            raise ImageError(f"{shown} cannot be read from {where}: {error}. Is it still there?") from error

    def head(number: int) -> bytes:
        with handles.of(_there(index.span, span, where)) as file:
            file.seek(int(index.starts[numbers[number]]))
            return file.read(min(kinds.HEAD, int(index.sizes[numbers[number]])))

    return Listing(
        name,
        where,
        [index.names[row] for row in numbers],
        [mark] * len(numbers),  # which says of all members whether they may have changed
        read,
        lambda number: f"tar://{spelled(index.names[numbers[number]])}::{uri}",
        head,
        (*index.aside, *aside),
        index.notes,
        labels=labels,
        is_shard=labels is not None
        or (len(numbers) < len(index.names) and not any("/" in each for each in index.names)),
    )


def _there(plain: Span, span: Span, where: str) -> Span:
    """The unpacked tar, made again if somebody has emptied the cache folder."""
    return plain if plain.path == span.path or plain.path.is_file() else _plain(span, where)


def _plain(span: Span, where: str) -> Span:
    """An uncompressed tar with what a tar holds: itself, or one in the cache folder."""
    with span.open() as file:
        if not unpacking.is_packed(file.read(BLOCK)):
            return span
    packed = span.path.stat().st_size if span.size is None else span.size
    return Span(unpacking.kept(span, folders.mark(span.path), packed, _pieces(span), where))


def _pieces(span: Span) -> Iterator[bytes]:
    with span.open() as file:
        yield from unpacking.pieces(file)


def part_of(span: Span, member: str, where: str) -> Span:
    """Where a member lies. Raises ImageError if there is none, DatasetError if the tar cannot be read."""
    index = index_of(span, where)
    row = next((row for row, name in enumerate(index.names) if member in (name, spelled(name))), None)
    if row is None:
        raise ImageError(f"{where} has no {member}. Is it the same tar still?")
    return index.span.part(int(index.starts[row]), int(index.sizes[row]))


def read_member(span: Span, member: str, where: str) -> bytes:
    """The bytes of one image of a tar. Raises ImageError."""
    try:
        part = part_of(span, member, where)
        with from_store(part.path, member), part.open() as file:
            return _whole(file.read(_size(part.size or 0, member)), part.size or 0, member)
    except (OSError, ValueError) as error:
        raise ImageError(f"{member} cannot be read from {where}: {error}. Is it still there?") from error


def _member(file: IO[bytes], index: Index, row: int) -> bytes:
    name, size = spelled(index.names[row]), int(index.sizes[row])
    file.seek(int(index.starts[row]))
    return _whole(file.read(_size(size, name)), size, name)


def _size(size: int, name: str) -> int:
    images.need_size(size, name)
    return size


def _whole(data: bytes, size: int, name: str) -> bytes:
    if len(data) < size:
        raise ImageError(
            f"{name} has {size:,} bytes, but its tar ends after {len(data):,} of them. Copy or make it again."
        )
    return data


_indices: OrderedDict[tuple[Span, str], Index] = OrderedDict()
_lock = threading.Lock()


def index_of(span: Span, where: str) -> Index:
    """Where the files of a tar lie, which takes reading all its headers; the last few are kept."""
    key = span, folders.mark(span.path)
    with _lock:
        if key in _indices:
            _indices.move_to_end(key)
            return _indices[key]
    index = _indexed(_plain(span, where), where)
    with _lock:
        _indices[key] = index
        while len(_indices) > INDICES:
            _indices.popitem(last=False)
    return index


def _indexed(span: Span, where: str) -> Index:
    entries: dict[str, tuple[int, int]] = {}
    left: dict[str, list[str]] = {}
    said = samples.Said()
    notes: list[str] = []
    try:
        with span.open() as file:
            for member in _members(file, where, notes):
                name = kinds.member_path(member.name)
                if member.isreg() and not member.issparse():
                    entries[name] = member.offset_data, member.size
                    if samples.says(name, member.size):
                        file.seek(member.offset_data)
                        said.hear(name, file.read(member.size))
                elif not member.isdir() and not kinds.is_hidden(name):
                    reason = SPARSE if member.isreg() else LINKS if member.islnk() or member.issym() else DEVICES
                    left.setdefault(reason, []).append(spelled(name))
    except (OSError, tarfile.TarError, ValueError) as error:
        raise DatasetError(f"{where} cannot be opened as a tar: {error}. Make or copy it again.") from error
    names = sorted(entries)
    places = np.array([entries[name] for name in names], dtype=np.int64).reshape(-1, 2)  # (N, 2)
    aside = tuple(Aside(reason, tuple(sorted(some))) for reason, some in sorted(left.items()))
    return Index(span, names, places[:, 0], places[:, 1], said, aside, tuple(notes))


def _members(file: IO[bytes], where: str, notes: list[str]) -> Iterator[tarfile.TarInfo]:
    """The members of a tar. What cuts it short is put in `notes`; to tarfile it is the end."""
    guarded = _Guarded(file)
    with tarfile.open(fileobj=guarded, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
        problem, last = "", -1
        while True:
            archive.members.clear()  # else it keeps all of them, a kilobyte each
            try:
                member = archive.next()
            except (tarfile.TarError, ValueError) as error:
                problem = str(error)
                break
            if member is None or member.offset_data <= last or member.size < 0:  # going back, it would have no end
                break
            last = member.offset_data
            yield member
        end = archive.offset
    if problem or (problem := _follows(file, end)):
        notes.append(
            f"{where}: {problem} (byte {end:,}). What lies behind is no part of the set. Copy or make it again."
        )


def _follows(file: IO[bytes], end: int) -> str:
    """What is wrong with what lies behind the last member of a tar; '' where that is its end."""
    file.seek(end)
    block = file.read(BLOCK)
    if block not in (b"", ZEROS):
        return "the tar is damaged or ends early"
    if file.read(PADDING).strip(b"\0"):
        return "the tar ends, and others follow in the same file"
    return ""


class _Guarded:
    """A file for tarfile, whose headers say how much of it to read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MOST_AT_ONCE:
            raise tarfile.ReadError(f"a header says that it has {size:,} bytes")
        return self._file.read(size)
