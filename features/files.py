"""Files that are whole or not there, on this machine or elsewhere, and what identifies them."""

import errno
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from features.errors import FeatureError

ROOTS = "RESNET_EXPLORER_ROOTS"  # the folders that the app, and links below image folders, may lead into
NOTES = "RESNET_EXPLORER_NOTES"  # a file of notes in place of the one in the data folder
ABANDONED_SECONDS = 24 * 3600.0  # after which a file that was being written is one of a process that was killed
OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl")


def path_of(text: str | Path) -> Path:
    """A path, or what acts as one for an address such as 's3://bucket/folder' (any of fsspec's).

    Raises FeatureError for an address if the library for them is not installed, or knows no such kind.
    """
    if "://" not in str(text):
        return Path(text).expanduser()
    try:
        from upath import UPath

        path = UPath(str(text))
        path.fs  # noqa: B018  # brings the library for this kind of address, or says that it is missing
        return cast(Path, path)
    except (ImportError, ValueError) as error:
        raise FeatureError(
            f"{text} cannot be used: {error}. Install requirements-ray.txt and fsspec's library for this kind of "
            "address, or give a path."
        ) from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it, but no bucket of an object store, where folders are only names."""
    if _has_folders(path):
        path.mkdir(parents=True, exist_ok=True)


def _has_folders(path: Path) -> bool:
    return is_local(path) or path.protocol not in OBJECT_STORES  # type: ignore[attr-defined]


def cache_folder(name: str) -> Path:
    """Where what can be made again is kept, under the digest of what it was made of. name: what it is, 'openvino'."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "resnet-explorer" / name


def data_folder() -> Path:
    """Where what a person has made is kept, and nothing else could make again: notes, workspaces."""
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "resnet-explorer"


def notes_file() -> Path:
    """Where a person's notes of images are kept unless the environment names another file."""
    named = os.environ.get(NOTES)
    return Path(named).expanduser() if named else data_folder() / "notes.sqlite"


def roots() -> list[Path]:
    """The folders that may be read, as the environment variable names them; none where all may."""
    return [Path(root).expanduser().resolve() for root in os.environ.get(ROOTS, "").split(os.pathsep) if root]


def may_be_read(path: str) -> bool:
    """Whether a real path lies in the folders that may be read."""
    allowed = roots()
    return not allowed or any(Path(path).is_relative_to(root) for root in allowed)


def allowed(own: str = "") -> Callable[[str], bool]:
    """Tells of paths on this machine whether they may be read, wherever links lead: those in `roots`, and in a folder
    of one's own.

    For many: links above a file are followed once for its folder, and not for every file in it.
    """
    inside = [*map(str, roots())]
    if not inside:
        return lambda path: True
    inside = [root.rstrip("/") for root in (*inside, *([os.path.realpath(own)] if own else []))]
    real_of: dict[str, str] = {}

    def may(path: str) -> bool:
        above, name = os.path.split(path)
        if above not in real_of:
            real_of[above] = os.path.realpath(above)
        whole = os.path.join(real_of[above], name)  # noqa: PTH118
        if name in ("", ".", "..") or os.path.islink(whole):  # noqa: PTH114
            whole = os.path.realpath(whole)
        return any(whole == root or whole.startswith(f"{root}/") for root in inside)

    return may


def is_there(path: str | Path) -> bool:
    """Whether a text is the path of something on this machine; not so what can be no path, as of too long a name."""
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long, nobody's home, a NUL
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder at a path, as of `is_there`."""
    return is_there(path) and path.expanduser().is_dir()


def is_local(path: Path) -> bool:
    """Whether a path lies in this machine's file system."""
    return "://" not in str(path)


class Unreachable(OSError):
    """An address whose library raised something of its own kind."""


@contextmanager
def reached(path: Path) -> Iterator[None]:
    """Turn what libraries for addresses raise, each its own kinds, into Unreachable."""
    try:
        yield
    except (OSError, FeatureError):
        raise
    except Exception as error:
        if is_local(path):
            raise
        raise Unreachable(errno.EIO, f"it cannot be reached ({error})", str(path)) from error


def need_no_file(folder: Path) -> None:
    """Raises FeatureError if a file stands where a folder is to be."""
    if folder.exists() and not folder.is_dir():
        raise FeatureError(f"{folder} is a file. Choose a folder.")


def entries(folder: Path) -> list[Path]:
    """What a folder holds. An object store has names instead of folders, so there an empty one does not exist."""
    return list(folder.iterdir()) if folder.is_dir() else []


def need_no_pipe(path: Path) -> None:
    """Raises OSError for what is there and is no file, on this machine: reading a pipe would wait for ever."""
    if is_local(path) and path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file", str(path))


@contextmanager
def readable(path: Path) -> Iterator[Any]:
    """What libraries can read from that know local paths and open files. Raises OSError as `need_no_pipe`."""
    need_no_pipe(path)
    if is_local(path):
        yield path
    else:
        with path.open("rb") as file:
            yield file


def tree(folder: Path) -> list[str]:
    """The names of all files below a folder, sorted, as 'inner/file'."""
    names: list[str] = []
    for entry in entries(folder):
        is_folder = entry.is_dir() and not entry.is_symlink()
        names += [f"{entry.name}/{name}" for name in tree(entry)] if is_folder else [entry.name]
    return sorted(names)


def remove(folder: Path, names: Iterable[str]) -> None:
    """Take files out of a folder, and inner folders that are empty without them. What is gone already is no error."""
    parents = set()
    for name in names:
        path = folder / name
        path.unlink(missing_ok=True)
        parents |= {folder / parent for parent in PurePosixPath(name).parents if parent.name}
    for parent in sorted(parents, key=lambda path: len(path.parts), reverse=True):
        remove_empty(parent)


def remove_empty(folder: Path) -> None:
    """Take a folder away if nothing lies in it."""
    if _has_folders(folder) and folder.is_dir() and not entries(folder):
        folder.rmdir()


def remove_all(folder: Path) -> None:
    """Take a folder away with all that lies in it; of one that is only linked, the link."""
    if folder.is_symlink():
        folder.unlink()
        return
    for entry in entries(folder):
        if entry.is_dir() and not entry.is_symlink():
            remove_all(entry)
        else:
            entry.unlink()
    remove_empty(folder)


def move(source: Path, target: Path) -> None:
    """Give a file the name of another, which it takes the place of. In one step on this machine, not so elsewhere."""
    source.replace(target) if is_local(target) else source.rename(target)


@contextmanager
def written_whole(path: Path, scratch: Path | None = None, durable: bool = False) -> Iterator[IO[bytes]]:
    """A file to write to, which appears under its name when it is whole and not at all otherwise.

    scratch: the folder to write it in until then, on the same file system; None for the file's own. durable: whether it
    is on the disk, and not only on its way there, before it appears.
    """
    temporary = (scratch or path.parent) / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file:
            yield file
            if durable and is_local(path):
                file.flush()
                os.fsync(file.fileno())
        move(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, durable: bool = False) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part, whoever else writes it."""
    with written_whole(path, durable=durable) as file:
        file.write(data)


def keep(path: Path, data: bytes, most: int | None = None) -> None:
    """Write what can be made again, if that can be done: it is no matter if not. most: as of `make_room`."""
    with suppress(OSError, FeatureError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if most is not None:
            make_room(path.parent, most - len(data))
        write_whole(path, data)


def _size_on_disk(status: os.stat_result) -> int:
    """Bytes that a file takes, which are fewer than it has where it has holes."""
    blocks = getattr(status, "st_blocks", None)  # of 512 bytes, on systems that tell
    return status.st_size if blocks is None else min(status.st_size, 512 * blocks)


def make_room(folder: Path, most: int) -> None:
    """Take away what was used least lately until so many bytes are left at most, and what nobody finished."""
    entries = []
    for entry in folder.iterdir():
        with suppress(OSError):
            status = entry.stat()
            if entry.name.startswith("."):
                if time.time() - status.st_mtime > ABANDONED_SECONDS:
                    entry.unlink()
            else:
                entries.append((status.st_mtime, _size_on_disk(status), entry))
    total = sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries, key=lambda each: each[0]):
        if total <= most:
            break
        with suppress(OSError):
            entry.unlink()
            total -= size


def digest_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
