"""Digests of images by their content, so that the same picture in two sets is one; each file is read once."""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from features import files
from features.datasets import ImageSet, Rejected, file_of, folders
from features.datasets.folders import mark, mark_at
from features.datasets.image_set import FileOpener
from features.datasets.kinds import spelled
from features.errors import FeatureError
from features.progress import Progress, Task

OF_PIXELS = "pixels:"  # before the digest of what lies in no file, as torchvision's sets
AT_ONCE, THREADS = 256, 4
LAYOUT = (
    "CREATE TABLE IF NOT EXISTS digests (place TEXT PRIMARY KEY, mark TEXT, digest TEXT, size INTEGER) WITHOUT ROWID"
)


@dataclass(frozen=True)
class Content:
    """An image's content. digest: hexadecimal SHA-256 of its file's bytes, or of its pixels behind OF_PIXELS where it
    has no file. size: of the file in bytes, None without."""

    digest: str
    size: int | None


@dataclass(frozen=True, eq=False)
class Contents:
    """Of some images of a set, by their numbers, and those that could not be read."""

    of: Mapping[int, Content]
    rejected: tuple[Rejected, ...] = ()


def content(images: ImageSet, row: int) -> Content:
    """Of one image. Raises ImageError if it cannot be read."""
    opener = images.opener
    if isinstance(opener, FileOpener):
        data = opener.read(row)[0]
        return Content(hashlib.sha256(data).hexdigest(), len(data))
    if (path := _own_file(images, row)) is not None:
        data = folders.read_file(path, images.ids[row])
        return Content(hashlib.sha256(data).hexdigest(), len(data))
    picture = images.open(row)  # of sets that hold pixels as they are
    told = hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes())
    return Content(f"{OF_PIXELS}{told.hexdigest()}", None)


def _own_file(images: ImageSet, row: int) -> Path | None:
    """The file of an image whose set only says where it lies, as features in a folder do."""
    place = images.uri(row)
    if not place.startswith("/"):
        return None
    with suppress(OSError, RuntimeError, ValueError):
        path = Path(place).resolve()
        return path if path.is_file() and files.may_be_read(str(path)) else None
    return None


def contents(images: ImageSet, rows: Sequence[int]) -> Task[Contents]:
    """Of some images of a set, by their numbers. A file that was read before, and has its size and time still, is not
    read again: its digest lies in the cache folder."""
    known: dict[int, Content] = {}
    rejected: list[Rejected] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(rows), AT_ONCE):
            yield Progress(start, len(rows), "image")
            some = list(rows[start : start + AT_ONCE])
            places = dict(zip(some, pool.map(lambda row: _place(images, row), some), strict=True))
            kept = _kept(place for place, _ in places.values())
            for row in some:
                if (told := kept.get(places[row][0])) is not None and told[0] == places[row][1]:
                    known[row] = Content(told[1], told[2])
            unread = [row for row in some if row not in known]
            fresh = dict(zip(unread, pool.map(lambda row: _read(images, row), unread), strict=True))
            for row, each in fresh.items():
                if isinstance(each, Content):
                    known[row] = each
                else:
                    rejected.append(Rejected(images.ids[row], str(each)))
            _keep([(*places[row], each) for row, each in fresh.items() if isinstance(each, Content)])
    return Contents(known, tuple(rejected))


def candidates(images: ImageSet, sizes: Iterable[int | None]) -> list[int]:
    """The images that may be among some whose files have these sizes: where each lies in a file of its own, those of
    one of the sizes, which is told without a byte being read; else all."""
    opener, wanted = images.opener, {size for size in sizes if size is not None}
    if not isinstance(opener, FileOpener):
        paths = [_own_file(images, row) for row in range(len(images))]
        return [row for row, path in enumerate(paths) if (None if path is None else _size(str(path))) in {*sizes}]
    if opener.path is None:
        return list(range(len(images))) if wanted else []
    return [row for row in range(len(images)) if _size(opener.path(row)[0]) in wanted]


def _size(path: str) -> int | None:
    size = mark_at(path).partition(" ")[0]
    return int(size) if size.isdecimal() else None


def _place(images: ImageSet, row: int) -> tuple[str, str]:
    """Where an image lies, and what changes when that does; '' for the second where nothing tells."""
    place, its_mark = _marked_place(images, row)
    return spelled(place), its_mark


def _marked_place(images: ImageSet, row: int) -> tuple[str, str]:
    uri = images.uri(row)
    if not isinstance(images.opener, FileOpener):
        path = _own_file(images, row)
        return (uri, "") if path is None else (str(path), mark_at(str(path)))
    if images.opener.path is not None:
        name = images.opener.path(row)[0]
        return name, mark_at(name)
    file = file_of(uri)
    return (uri, "") if file == uri and "://" in uri else (uri, _mark(file))


def _mark(file: str) -> str:
    with suppress(FeatureError, OSError):
        return mark(files.path_of(file))
    return ""


def _read(images: ImageSet, row: int) -> Content | FeatureError:
    try:
        return content(images, row)
    except FeatureError as error:
        return error


def _cache() -> Path:
    return files.cache_folder("digests") / "digests.sqlite"


def _kept(places: Iterable[str]) -> dict[str, tuple[str, str, int | None]]:
    """What is kept of places: mark, digest and size. It is no matter if nothing can be."""
    wanted = list(places)
    with suppress(sqlite3.Error), closing(sqlite3.connect(_cache(), timeout=1)) as file:
        marks = ",".join("?" * len(wanted))
        rows = file.execute(f"SELECT place, mark, digest, size FROM digests WHERE place IN ({marks})", wanted)
        return {place: (its_mark, digest, size) for place, its_mark, digest, size in rows}
    return {}


def _keep(told: Sequence[tuple[str, str, Content]]) -> None:
    rows = [(place, its_mark, each.digest, each.size) for place, its_mark, each in told if its_mark]
    if not rows:
        return
    with suppress(sqlite3.Error, OSError):
        _cache().parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(_cache(), timeout=1)) as file, file:
            file.execute(LAYOUT)
            file.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)", rows)
