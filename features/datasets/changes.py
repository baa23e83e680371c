"""Tells whether the images at a path have changed, without opening them."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from features import files
from features.datasets import folders, parquet
from features.errors import DatasetError
from features.sources import EXTENSIONS


def stamp(path: Path) -> str:
    """Hexadecimal SHA-256 that changes when the files at a path do: names, sizes and times.

    Of a list also when an image does that it names and that lies on this machine. It takes some microseconds a file.
    Raises DatasetError if a folder below it cannot be read.
    """
    root = path.resolve()
    digest = hashlib.sha256()
    for name, mark in _marks(root):
        digest.update(f"{name}\0{mark}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _marks(root: Path) -> Iterator[tuple[str, str]]:
    """The path of every file that counts, with what changes when the file does, in an order of their own."""
    if not root.is_dir():
        named = folders.listed(root) if root.suffix == folders.LIST_SUFFIX and root.is_file() else []
        yield from ((str(file), folders.mark(file)) for file in (root, *filter(files.is_local, named)))
    elif files.is_local(root):
        yield from _below(str(root), hidden=False)
    else:
        found = [*sorted(folders.image_files(root), key=str), *parquet.table_files(root)]
        yield from ((str(file), folders.mark(file)) for file in found)


def _below(folder: str, hidden: bool) -> Iterator[tuple[str, str]]:
    """Of a folder on this machine. hidden: whether it lies in one whose name begins with a dot.

    `os.scandir` and strings, since a `Path` for each of a million files takes a minute.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError(
            f"The folder {folder} cannot be read: {error.strerror}. Allow it, or move it away."
        ) from error
    for entry in entries:
        if entry.is_dir():
            if not entry.is_symlink():  # which is not followed when the set is opened
                yield from _below(entry.path, hidden or entry.name.startswith("."))
        elif not entry.name.startswith(".") and (
            entry.name.endswith(parquet.SUFFIX) or (not hidden and entry.name.lower().endswith(EXTENSIONS))
        ):
            yield entry.path, _mark(entry)


def _mark(entry: os.DirEntry[str]) -> str:
    try:
        status = entry.stat()
    except OSError:  # a link to nowhere, which the set leaves in its place too
        return "unreadable"
    return f"{status.st_size} {status.st_mtime_ns}"
