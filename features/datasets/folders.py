"""Images that are files: below a folder, or named one by one."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from features import files
from features.datasets import counting, images, kinds
from features.datasets.image_set import FileOpener, ImageSet, from_store, set_digest, spelled
from features.datasets.kinds import Aside
from features.datasets.listing import Listing
from features.errors import DatasetError, ImageError

LOOP, OUTSIDE = "links to a folder that they lie in", "links that lead out of the folders that may be read"
UNREADABLE, A_FOLDER = "unreadable", "a folder"  # instead of marks
NO_FILES = "pipes, sockets and devices, since reading one may have no end"


def listing(root: Path) -> Listing:
    """The files below a folder that are not hidden. Raises DatasetError if a folder cannot be read."""
    root = root.resolve()
    tree = Tree(root) if files.is_local(root) else None
    listed = tree.files() if tree is not None else ((str(file), mark(file)) for file in _remote_files(root))
    first = len(str(root).rstrip("/")) + 1
    inside = ((name[first:], its_mark) for name, its_mark in counting.counted(listed))
    every = list(inside) if tree is not None else sorted(inside)  # a tree is walked in the order of its names
    aside = tree.aside() if tree is not None else ()
    return _listing(root, str(root), [name for name, _ in every], [its_mark for _, its_mark in every], aside)


def of_paths(where: str, root: Path, names: Sequence[str]) -> Listing:
    """Files by their paths below a folder. where: what named them, as errors call it."""
    return of_marked(where, root, [(name, mark(root / name)) for name in names])


def of_marked(where: str, root: Path, files_in: Sequence[tuple[str, str]]) -> Listing:
    """As `of_paths`, of files whose marks are known: (path, mark)."""
    return _listing(root, where, [name for name, _ in files_in], [its_mark for _, its_mark in files_in], ())


def _listing(root: Path, where: str, names: Sequence[str], marks: Sequence[str], aside: tuple[Aside, ...]) -> Listing:
    is_here = files.is_local(root)
    folder = str(root.absolute()) if is_here else ""

    def path(number: int) -> Path:
        return root / names[number]

    def file(number: int) -> tuple[str, str]:
        return os.path.join(folder, names[number]), spelled(names[number])  # noqa: PTH118

    return Listing(
        root.name or str(root),  # a bucket has no name of its own
        where,
        names,
        marks,
        lambda number: (read_file(path(number), spelled(names[number])), spelled(names[number])),
        lambda number: spelled(str(path(number))),
        (lambda number: head(path(number))) if is_here else None,
        aside,
        file=file if is_here else None,
    )


@dataclass
class Tree:
    """Walks through a folder on this machine, through links to other folders too.

    Not into a folder that the link lies in itself, which would have no end, nor to where nobody may read: these links,
    and what is no file, are kept in `left`, by reason. `os.scandir` and strings, since a `Path` for each of a million
    files takes a minute.
    """

    root: Path
    left: dict[str, list[str]] = field(default_factory=dict)

    def files(self) -> Iterator[tuple[str, str]]:
        """The path of every file that is not hidden, with what changes when the file does, in an order of their own."""
        return self._below(str(self.root), (os.path.realpath(self.root),))

    def aside(self) -> tuple[Aside, ...]:
        """The links that were not followed, and what is no file."""
        return tuple(Aside(reason, tuple(sorted(names))) for reason, names in sorted(self.left.items()))

    def _below(self, folder: str, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """above: the real paths of the folder and of those that it lies in."""
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            raise DatasetError(
                f"The folder {folder} cannot be read: {error.strerror}. Allow it, or move it away."
            ) from error
        for entry in entries:
            if kinds.is_hidden(entry.name):
                continue
            real = os.path.realpath(entry.path) if entry.is_symlink() else None
            if real is not None and not files.may_be_read(real):
                self._leave(OUTSIDE, entry.path)
            elif not _is_folder(entry):
                if (its_mark := _mark(entry)) is None:
                    self._leave(NO_FILES, entry.path)
                else:
                    yield entry.path, its_mark
            elif real is not None and real in above:
                self._leave(LOOP, entry.path)
            else:
                yield from self._below(entry.path, (*above, real or os.path.join(above[-1], entry.name)))  # noqa: PTH118

    def _leave(self, reason: str, path: str) -> None:
        self.left.setdefault(reason, []).append(os.path.relpath(path, self.root))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _mark(entry: os.DirEntry[str]) -> str | None:
    """What changes when a file does; None for what is no file."""
    try:
        status = entry.stat()
    except OSError:  # a link to nowhere: opening it says so, and the other images are not lost
        return UNREADABLE
    return mark_of(status) if stat.S_ISREG(status.st_mode) else None


def mark_of(status: os.stat_result) -> str:
    """What changes when a file with this status does."""
    return f"{status.st_size} {status.st_mtime_ns}"


def mark(file: Path) -> str:
    """What changes when a file does."""
    try:
        status = file.stat()
    except (OSError, ValueError):
        return UNREADABLE
    return mark_of(status)


def mark_at(path: str) -> str:
    """What changes when a file on this machine does, A_FOLDER for a folder, NO_FILES for what is neither."""
    try:
        status = os.stat(path)  # noqa: PTH116  # a `Path` for each of a million files takes a minute
    except (OSError, ValueError):
        return UNREADABLE
    return mark_of(status) if stat.S_ISREG(status.st_mode) else A_FOLDER if stat.S_ISDIR(status.st_mode) else NO_FILES


def _remote_files(root: Path) -> list[Path]:
    inside = (file for file in root.rglob("*") if not kinds.is_hidden(file.relative_to(root).as_posix()))
    return [file for file in inside if file.is_file()]


def head(file: Path) -> bytes:
    """A file's first bytes; none where it is no file, or cannot be read."""
    try:
        if not file.is_file():  # reading a pipe would wait for ever
            return b""
        with file.open("rb") as opened:
            return opened.read(kinds.HEAD)
    except OSError:
        return b""


def open_named(names: list[str], paths: list[Path]) -> ImageSet:
    """Files by the names that they were given, without labels."""
    return of_files("images", paths, names)


def of_files(name: str, paths: list[Path], ids: list[str]) -> ImageSet:
    """Files as a set without labels, whatever they are called. ids: (N,) what to call each."""
    spelt = [spelled(each) for each in ids]

    def read(index: int) -> tuple[bytes, str]:
        return read_file(paths[index], spelt[index]), spelt[index]

    def path(index: int) -> tuple[str, str]:
        return str(paths[index].absolute()), spelt[index]

    opener = FileOpener(read, path if all(map(files.is_local, paths)) else None)
    opened = ImageSet(name, tuple(spelt), None, (), set_digest(spelt, [*map(mark, paths)]), opener)
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
    except (OSError, ValueError) as error:  # a NUL in a name that somebody wrote
        reason = getattr(error, "strerror", None) or "it is not there"
        raise ImageError(f"{name} cannot be read: {reason}. Is it still there?") from error
