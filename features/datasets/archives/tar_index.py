"""Finds where the files of a tar lie, by reading all its headers once."""

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np

from features import files
from features.datasets import counting, folders, kinds
from features.datasets.archives import samples, unpacking
from features.datasets.archives.spans import Span
from features.datasets.image_set import spelled
from features.datasets.kinds import Aside
from features.errors import DatasetError

BLOCK = 512
MOST_AT_ONCE = 64 << 20  # bytes of a header: extended ones say their own size, and are read whole
PADDING = 1 << 20  # bytes behind an archive's end in which is looked for another
INDICES = 8  # that are kept in memory for images that are opened one by one
MANY = 1000  # files of a tar whose index is kept in the cache folder: a million headers take most of a minute
MOST_KEPT = 1 << 30  # bytes of all indices
VERSION = "2"  # of what is kept
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


def plain(span: Span, where: str) -> Span:
    """An uncompressed tar with what a tar holds: itself, or one in the cache folder."""
    with span.open() as file:
        if not unpacking.is_packed(file.read(BLOCK)):
            return span
    packed = span.path.stat().st_size if span.size is None else span.size
    return Span(unpacking.kept(span, folders.mark(span.path), packed, _pieces(span), where))


def _pieces(span: Span) -> Iterator[bytes]:
    with span.open() as file:
        yield from unpacking.pieces(file)


_indices: OrderedDict[tuple[Span, str], Index] = OrderedDict()
_lock = threading.Lock()


def index_of(span: Span, where: str) -> Index:
    """Where the files of a tar lie, which takes reading all its headers; the last few are kept."""
    key = span, folders.mark(span.path)
    with _lock:
        if key in _indices:
            _indices.move_to_end(key)
            return _indices[key]
    unpacked = plain(span, where)
    index = _kept(unpacked, key[1]) or _indexed(unpacked, where)
    if len(index.names) >= MANY or not files.is_local(unpacked.path):  # elsewhere, headers are reached by reading all
        _keep(index, key[1])
    with _lock:
        _indices[key] = index
        while len(_indices) > INDICES:
            _indices.popitem(last=False)
    return index


def _place(span: Span, mark: str) -> Path:
    what = f"{VERSION} {span.path.resolve()} {span.start} {span.size} {mark}"
    digest = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()
    return files.cache_folder("archive-indices") / f"{digest}.npz"


def _keep(index: Index, mark: str) -> None:
    """Write an index to the cache folder, if that can be done and has not been."""
    path = _place(index.span, mark)
    if path.exists():
        return
    told = {"said": asdict(index.said), "aside": [asdict(each) for each in index.aside], "notes": index.notes}
    names = "\0".join(index.names).encode("utf-8", "surrogateescape")
    buffer = io.BytesIO()
    np.savez(
        buffer,
        names=np.frombuffer(names, np.uint8),
        starts=index.starts,
        sizes=index.sizes,
        told=np.frombuffer(json.dumps(told).encode(), np.uint8),
    )
    files.keep(path, buffer.getvalue())
    with suppress(OSError):
        files.make_room(path.parent, MOST_KEPT)


def _kept(span: Span, mark: str) -> Index | None:
    """The index that an earlier run wrote, None if there is none that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        with _place(span, mark).open("rb") as file, np.load(file, allow_pickle=False) as held:
            told = json.loads(held["told"].tobytes())
            names = held["names"].tobytes().decode("utf-8", "surrogateescape").split("\0")
            starts, sizes = held["starts"], held["sizes"]
        if len(names) == len(starts) == len(sizes):
            aside = tuple(Aside(each["reason"], tuple(each["names"])) for each in told["aside"])
            return Index(span, names, starts, sizes, samples.Said(**told["said"]), aside, tuple(told["notes"]))
    return None


def _indexed(span: Span, where: str) -> Index:
    entries: dict[str, tuple[int, int]] = {}
    absolute: dict[str, bool] = {}
    left: dict[str, list[str]] = {}
    said = samples.Said()
    notes: list[str] = []
    try:
        with span.open() as file:
            for member in counting.counted(_members(file, where, notes)):
                name = kinds.member_path(member.name)
                if member.isreg() and not member.issparse():
                    is_absolute = kinds.is_absolute(member.name)
                    absolute[name] = absolute.get(name, True) and is_absolute
                    if is_absolute and not absolute[name]:  # one inside the archive is called so too
                        continue
                    entries[name] = member.offset_data, member.size
                    if samples.says(name, member.size):
                        file.seek(member.offset_data)
                        said.hear(name, file.read(member.size))
                elif not member.isdir() and not kinds.is_hidden(name):
                    reason = SPARSE if member.isreg() else LINKS if member.islnk() or member.issym() else DEVICES
                    left.setdefault(reason, []).append(spelled(name))
    except (OSError, tarfile.TarError, ValueError) as error:
        raise DatasetError(f"{where} cannot be opened as a tar: {error}. Make or copy it again.") from error
    kept, outside, notes_of_names = kinds.inside(absolute, where)
    names = sorted(kept)
    places = np.array([entries[name] for name in names], dtype=np.int64).reshape(-1, 2)  # (N, 2)
    aside = tuple(Aside(reason, tuple(sorted(some))) for reason, some in sorted(left.items()))
    return Index(span, names, places[:, 0], places[:, 1], said, (*aside, *outside), (*notes, *notes_of_names))


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
