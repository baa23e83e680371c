"""Images in a zip."""

import errno
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator

from features import files
from features.datasets import folders, images, kinds
from features.datasets.archives import unpacking
from features.datasets.archives.spans import Handles, Span
from features.datasets.image_set import from_store, spelled
from features.datasets.kinds import Aside
from features.datasets.listing import Listing
from features.errors import DatasetError, ImageError

DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, NotImplementedError, RuntimeError)
CANNOT_OPEN = (zipfile.BadZipFile, OSError, NotImplementedError, ValueError)
ENCRYPTED = 1  # of a member's flags (APPNOTE.TXT 4.4.4)
LOCAL_HEADER, LENGTHS = 30, 26  # bytes before a member's name, and where the lengths of this and what follows stand


def is_zip(span: Span) -> bool:
    with span.open() as source:
        return zipfile.is_zipfile(source)


def listing(span: Span, name: str, where: str, uri: str) -> Listing:
    """The files in a zip. uri: what the zip's own place is called in those of its members.

    Raises DatasetError if it cannot be opened, or its images are protected by a password.
    """
    entries, aside, notes = _entries(span, where)
    _need_no_password(entries, where)
    handles = Handles(_zip)

    def read(number: int) -> tuple[bytes, str]:
        shown, entry = spelled(entries[number][0]), entries[number][1]
        try:
            with from_store(span.path, shown), handles.of(span) as archive:
                return _unpacked(archive, entry, span), shown
        except CANNOT_OPEN as error:
            raise _unopened(shown, where, error) from error

    def head(number: int) -> bytes:
        try:
            with handles.of(span) as archive, archive.open(entries[number][1]) as member:
                return member.read(kinds.HEAD)
        except Exception:  # damaged members raise many kinds: such a one tells nothing of what it is
            return b""

    return Listing(
        name,
        where,
        [name for name, _ in entries],
        [f"{entry.file_size} {entry.CRC}" for _, entry in entries],
        read,
        lambda number: f"zip://{spelled(entries[number][0])}::{uri}",
        head,
        aside,
        notes,
    )


def _entries(span: Span, where: str) -> tuple[list[tuple[str, zipfile.ZipInfo]], tuple[Aside, ...], tuple[str, ...]]:
    """The files in a zip by their names, in the order of these; of two of one name the later counts. What is left
    aside, and notes.
    """
    entries: dict[str, zipfile.ZipInfo] = {}
    absolute: dict[str, bool] = {}
    try:
        with _zip(span) as archive:
            for entry in archive.infolist():
                if not entry.filename.endswith(("/", "\\")):
                    name = kinds.member_path(entry.filename)
                    absolute[name] = absolute.get(name, True) and kinds.is_absolute(entry.filename)
                    if absolute[name] or not kinds.is_absolute(entry.filename):
                        entries[name] = entry
    except CANNOT_OPEN as error:
        raise DatasetError(f"{where} cannot be opened as a zip: {error}. Make or copy it again.") from error
    kept, aside, notes = kinds.inside(absolute, where)
    return sorted(((name, entry) for name, entry in entries.items() if name in kept), key=_name), aside, notes


def _name(pair: tuple[str, zipfile.ZipInfo]) -> str:
    return pair[0]


def _need_no_password(entries: list[tuple[str, zipfile.ZipInfo]], where: str) -> None:
    """Raises DatasetError if a password protects all that may be images."""
    flags = [entry.flag_bits & ENCRYPTED for name, entry in entries if kinds.counts(name) and not kinds.is_hidden(name)]
    if flags and all(flags):
        raise DatasetError(f"{where} is protected by a password. Unpack it with the password, and name the folder.")


def _zip(span: Span) -> zipfile.ZipFile:
    return zipfile.ZipFile(span.path if span == Span(span.path) and files.is_local(span.path) else span.open())


def _unopened(name: str, where: str, error: Exception) -> ImageError:
    return ImageError(
        f"{name} cannot be unpacked, since {where} cannot be opened: {error}. Make or copy the zip again."
    )


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, span: Span) -> bytes:
    images.need_size(entry.file_size, entry.filename)
    try:
        with archive.open(entry) as member:  # what it says of its size may be a lie
            return member.read(images.MAX_BYTES + 1)
    except Exception as error:  # damaged members raise many kinds, from zlib's to NotImplementedError
        if not files.is_local(span.path) and not isinstance(error, DAMAGE):  # the store's, not the zip's
            raise
        raise ImageError(f"{entry.filename} cannot be unpacked: {error}. Make the zip again.") from error


def _entry(archive: zipfile.ZipFile, member: str, where: str) -> zipfile.ZipInfo:
    entries = [*reversed(archive.infolist())]
    for entry in sorted(entries, key=lambda entry: kinds.is_absolute(entry.filename)):
        name = kinds.member_path(entry.filename)
        if member in (name, spelled(name)):
            return entry
    raise ImageError(f"{where} has no {member}. Is it the same zip still?")


def read_member(span: Span, member: str, where: str) -> bytes:
    """The bytes of one image of a zip. Raises ImageError."""
    try:
        with _zip(span) as archive, from_store(span.path, member):
            return _unpacked(archive, _entry(archive, member, where), span)
    except CANNOT_OPEN as error:
        raise _unopened(member, where, error) from error


def part_of(span: Span, member: str, where: str) -> Span:
    """Where a member lies: in the zip itself, or unpacked in the cache folder. Raises ImageError if there is none."""
    try:
        with _zip(span) as archive:
            entry = _entry(archive, member, where)
            if entry.flag_bits & ENCRYPTED:
                raise DatasetError(
                    f"{where} is protected by a password. Unpack it with the password, and name the folder."
                )
            archive.open(entry).close()  # compares what stands at the member's place with what the directory says
    except (*CANNOT_OPEN, RuntimeError) as error:
        raise _unopened(member, where, error) from error
    packed = span.part(entry.header_offset, entry.compress_size)
    if entry.compress_type != zipfile.ZIP_STORED:
        mark = f"{folders.mark(span.path)} {entry.CRC}"
        return Span(unpacking.kept(packed, mark, entry.compress_size, _pieces(span, entry), f"{where}/{member}"))
    with span.open() as file:
        file.seek(entry.header_offset + LENGTHS)
        lengths = file.read(LOCAL_HEADER - LENGTHS)
    if len(lengths) < LOCAL_HEADER - LENGTHS:
        raise ImageError(f"{where} ends before {member}. Make or copy the zip again.")
    name, extra = struct.unpack("<HH", lengths)
    return span.part(entry.header_offset + LOCAL_HEADER + name + extra, entry.file_size)


def _pieces(span: Span, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with _zip(span) as archive, archive.open(entry) as member:
            while piece := member.read(unpacking.PIECE):
                yield piece
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise OSError(errno.EIO, str(error)) from error  # as other damage is raised
