"""Files that are whole or not there, on this machine or elsewhere, and what identifies them."""

import errno
import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from features.errors import FeatureError

OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl")


def place(text: str | Path) -> Path:
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
    if is_local(path) or path.protocol not in OBJECT_STORES:  # type: ignore[attr-defined]
        path.mkdir(parents=True, exist_ok=True)


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


@contextmanager
def readable(path: Path) -> Iterator[Any]:
    """What libraries can read from that know local paths and open files."""
    if is_local(path):
        yield path
    else:
        with path.open("rb") as file:
            yield file


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which appears under its name when it is whole and not at all otherwise."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path) if is_local(path) else temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part, whoever else writes it."""
    with written_whole(path) as file:
        file.write(data)


def digest_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
