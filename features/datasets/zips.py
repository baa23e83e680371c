"""Images in a zip."""

import lzma
import os
import threading
import zipfile
import zlib
from pathlib import Path

from PIL import Image

from features import files
from features.datasets import images, kinds
from features.datasets.image_set import from_store
from features.datasets.listing import Listing
from features.errors import DatasetError, ImageError

DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, NotImplementedError, RuntimeError)


def is_zip(path: Path) -> bool:
    with files.readable(path) as source:
        return zipfile.is_zipfile(source)


def listing(path: Path) -> Listing:
    """The files in a zip."""
    # One handle for each set, guarded: ZipFile objects are not safe to read from several threads or processes.
    lock = threading.Lock()
    handles: dict[int, zipfile.ZipFile] = {}
    entries = _entries(path)
    archive = path.resolve()

    def handle(name: str) -> zipfile.ZipFile:
        process = os.getpid()
        if process not in handles:
            handles[process] = _opened_zip(path, name)
        return handles[process]

    def read(number: int) -> tuple[bytes, str]:
        name, entry = entries[number]
        with lock, from_store(path, name):
            return _unpacked(handle(name), entry, path), name

    def head(number: int) -> bytes:
        name, entry = entries[number]
        try:
            with lock, handle(name).open(entry) as member:
                return member.read(kinds.HEAD)
        except Exception:  # damaged members raise many kinds: such a one tells nothing of what it is
            return b""

    return Listing(
        path.stem,
        str(path),
        [name for name, _ in entries],
        [f"{entry.file_size} {entry.CRC}" for _, entry in entries],
        read,
        lambda number: f"zip://{entries[number][0]}::{archive}",
        head,
    )


def _entries(path: Path) -> list[tuple[str, zipfile.ZipInfo]]:
    """The files in a zip by their names, in the order of these; of two of one name the later counts."""
    try:
        with _zip(path) as archive:
            entries = {_name(entry): entry for entry in archive.infolist() if not _name(entry).endswith("/")}
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise DatasetError(f"{path} cannot be opened as a zip: {error}. Make or copy it again.") from error
    return sorted(entries.items(), key=lambda pair: pair[0])


def _name(entry: zipfile.ZipInfo) -> str:
    """A member's path. Programs on Windows have written backslashes; where a slash stands too, they are part of it."""
    name = entry.filename
    return name if "/" in name else name.replace("\\", "/")


def _zip(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path if files.is_local(path) else path.open("rb"))


def _opened_zip(path: Path, name: str) -> zipfile.ZipFile:
    try:
        return _zip(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise ImageError(
            f"{name} cannot be unpacked, since {path} cannot be opened: {error}. Make or copy the zip again."
        ) from error


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> bytes:
    images.need_size(entry.file_size, entry.filename)
    try:
        with archive.open(entry) as member:  # what it says of its size may be a lie
            return member.read(images.MAX_BYTES + 1)
    except Exception as error:  # damaged members raise many kinds, from zlib's to NotImplementedError
        if not files.is_local(path) and not isinstance(error, DAMAGE):  # the store's, not the zip's
            raise
        raise ImageError(f"{entry.filename} cannot be unpacked: {error}. Make the zip again.") from error


def open_member(path: Path, name: str) -> Image.Image:
    """One image of a zip."""
    with _opened_zip(path, name) as archive:
        entry = next((entry for entry in reversed(archive.infolist()) if _name(entry) == name), None)
        if entry is None:
            raise ImageError(f"{path} has no {name}. Is it the same zip still?")
        with from_store(path, name):
            data = _unpacked(archive, entry, path)
        return images.decode(data, name)
