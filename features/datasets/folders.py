"""Images in files: in a folder, in a zip, or named in a text file."""

import lzma
import os
import stat
import threading
import zipfile
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from PIL import Image

from features import files
from features.datasets import images
from features.datasets.image_set import FileOpener, ImageSet, from_store, labelled, set_digest, spelled, with_labels
from features.errors import DatasetError, ImageError
from features.sources import EXTENSIONS, PICTURES

LIST_SUFFIX = ".txt"
NAMED = 5  # of files in a sentence
Name = TypeVar("Name", str, Path)


def open_folder(root: Path, every: list[Path]) -> ImageSet:
    """every: what `image_files` gave."""
    root = root.resolve()
    paths = sorted(pictures_first(every), key=None if files.is_local(root) else str)
    ids = [file.relative_to(root).as_posix() for file in paths]
    opened = _of_files(root.name or str(root), str(root), paths, ids)  # a bucket has no name of its own
    beside = {*every} - {*paths} if len(paths) < len(every) else ()
    return replace(opened, aside=_aside([file.relative_to(root).as_posix() for file in beside]))


def open_named(names: list[str], paths: list[Path]) -> ImageSet:
    """Files by the names that they were given."""
    return replace(_of_files("images", "images", paths, names), labels=None, class_names=())


def open_list(path: Path) -> ImageSet:
    """The images whose paths stand in a text file, one a line, from that file's folder on; a label may follow a tab."""
    cells = _cells(path)
    names = [line[0] for line in cells]
    opened = _of_files(path.stem, str(path), _listed(path, names), names)
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise DatasetError(f"{path} names {twice} more than once. Take the repetitions out.")
    labels = [line[1].strip() for line in cells if len(line) > 1]
    if labels and len(labels) < len(cells):
        raise DatasetError(f"{path} has labels on {len(labels)} of {len(cells)} lines. Label all of them, or none.")
    if not labels:
        return opened
    said = set_digest([opened.digest, *labels], ["", *opened.ids])  # other labels are another set
    return replace(with_labels(opened, labels), digest=said)


def listed(path: Path) -> list[Path]:
    """Where the images lie that a text file names."""
    return _listed(path, [line[0] for line in _cells(path)])


def _listed(path: Path, names: list[str]) -> list[Path]:
    root = path.resolve().parent
    return [files.path_of(name) if "://" in name else root / name for name in names]


def _cells(path: Path) -> list[list[str]]:
    """The lines of a list that are not empty, split at tabs."""
    try:
        lines = path.read_bytes().decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}. Allow it.") from error
    return [line.split("\t") for line in lines if line.strip()]


def _of_files(name: str, where: str, paths: list[Path], ids: list[str]) -> ImageSet:
    def read(index: int) -> tuple[bytes, str]:
        name = spelled(ids[index])
        return read_file(paths[index], name), name

    opened = labelled(name, where, ids, [mark(file) for file in paths], FileOpener(read))
    return replace(opened, locate=lambda index: spelled(str(paths[index])))


def open_file(file: Path, name: str) -> Image.Image:
    """The image in a file. name: what to call it in an error."""
    return images.decode(read_file(file, name), name)


def read_file(file: Path, name: str) -> bytes:
    """The bytes of an image file. Raises ImageError if it is too large, or cannot be read."""
    try:
        with from_store(file, name):
            status = file.stat()
            if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
                raise ImageError(f"{name} is not a file that can be read as an image. Take it out.")
            images.need_size(status.st_size, name)  # before it is held in memory
            return file.read_bytes()
    except OSError as error:
        reason = error.strerror or "it is not there"
        raise ImageError(f"{name} cannot be read: {reason}. Is it still there?") from error


def mark(file: Path) -> str:
    """What changes when a file does."""
    try:
        status = file.stat()
    except OSError:  # a link to nowhere: opening it says so, and the other images are not lost
        return "unreadable"
    return f"{status.st_size} {status.st_mtime_ns}"


def image_files(root: Path) -> list[Path]:
    """The files below a folder that are called as images are, in no order."""
    if not files.is_local(root):
        inside = (file for file in root.rglob("*") if _looks_like_image(file.relative_to(root).as_posix()))
        return [file for file in inside if file.is_file()]
    paths = []

    def unreadable(error: OSError) -> None:
        raise DatasetError(f"The folder {error.filename} cannot be read: {error.strerror}. Allow it, or move it away.")

    for folder, subfolders, names in os.walk(root, onerror=unreadable):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        paths += [Path(folder, name) for name in names if _looks_like_image(name)]
    return paths


def pictures_first(names: list[Name]) -> list[Name]:
    """The pictures among files, or the arrays where there are no pictures."""
    return [name for name in names if str(name).lower().endswith(PICTURES)] or names


def _aside(names: list[str]) -> str:
    """Why files that are called as images are no part of a set, as a sentence; '' for none."""
    if not names:
        return ""
    some = ", ".join(map(spelled, sorted(names)[:NAMED]))
    rest = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return (
        f"{len(names):,} arrays beside pictures are left aside: {some}{rest}. "
        "If they are the images, give a folder that holds them alone."
    )


def _looks_like_image(name: str) -> bool:
    hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
    return not hidden and name.lower().endswith(EXTENSIONS)


DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, NotImplementedError, RuntimeError)


def is_zip(path: Path) -> bool:
    with files.readable(path) as source:
        return zipfile.is_zipfile(source)


def open_zip(path: Path) -> ImageSet:
    # One handle for each set, guarded: ZipFile objects are not safe to read from several threads or processes.
    lock = threading.Lock()
    handles: dict[int, zipfile.ZipFile] = {}
    entries, beside = _image_entries(path)
    archive = path.resolve()

    def read(index: int) -> tuple[bytes, str]:
        with lock, from_store(path, entries[index].filename):
            process = os.getpid()
            if process not in handles:
                handles[process] = _opened_zip(path, entries[index].filename)
            return _unpacked(handles[process], entries[index], path), entries[index].filename

    ids = [entry.filename for entry in entries]
    aside = _aside(beside)
    opened = labelled(path.stem, str(path), ids, [f"{e.file_size} {e.CRC}" for e in entries], FileOpener(read))
    return replace(opened, locate=lambda index: f"zip://{ids[index]}::{archive}", aside=aside)


def _image_entries(path: Path) -> tuple[list[zipfile.ZipInfo], list[str]]:
    """The images in a zip, and the names of the arrays that are none because there are pictures."""
    try:
        with _zip(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}  # of two of one name the later counts
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise DatasetError(f"{path} cannot be opened as a zip: {error}. Make or copy it again.") from error
    every = [*filter(_looks_like_image, entries)]
    names = sorted(pictures_first(every))
    return [entries[name] for name in names], [*{*every} - {*names}]


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
        try:
            entry = archive.getinfo(name)
        except KeyError as error:
            raise ImageError(f"{path} has no {name}. Is it the same zip still?") from error
        with from_store(path, name):
            data = _unpacked(archive, entry, path)
        return images.decode(data, name)
