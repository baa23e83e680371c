"""Tells whether the images at a path have changed, without opening them."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from features.datasets import folders, kinds, patterns
from features.datasets.annotated import voc, yolo
from features.datasets.archives import opening as archives
from features.datasets.listing import Listing
from features.datasets.lists import opening as lists
from features.datasets.lists.places import MISSING
from features.sources import LISTS, in_archive, is_pattern


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What lay at a path at one time. stamp: as of `stamp`. listing: of a folder, with which it may be opened."""

    stamp: str
    listing: Listing | None = None


def stamp(path: Path) -> str:
    """Hexadecimal SHA-256 that changes when the files at a path, or of a pattern, do: names, sizes and times.

    Of a list also when an image does that it names and that lies on this machine. It takes some microseconds a file.
    Raises DatasetError if a folder below it cannot be read.
    """
    return snapshot(path).stamp


def snapshot(path: Path) -> Snapshot:
    """The stamp of a path, and what was listed for it. Raises DatasetError as `stamp`."""
    root = path.resolve()
    if is_pattern(str(path)) or not root.is_dir():
        return Snapshot(_digest(_marks(path, root)))
    listing = folders.listing(root)
    counted = (pair for pair in zip(listing.names, listing.marks, strict=True) if _counts(pair[0]))
    return Snapshot(_digest(counted), listing)


def _counts(name: str) -> bool:
    """Whether a file may be an image, or say something of images."""
    return kinds.counts(name) or name.lower().endswith((*LISTS, voc.ENDING, *yolo.SETTINGS, *yolo.NAMES))


def _digest(marks: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for name, mark in marks:
        digest.update(f"{name}\0{mark}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _marks(path: Path, root: Path) -> Iterator[tuple[str, str]]:
    """The path of every file that counts, with what changes when the file does, in an order of their own."""
    if is_pattern(str(path)):
        yield from patterns.marks(str(path))
        return
    packed = in_archive(root)
    file = root if packed is None else packed[0]
    yield str(file), folders.mark(file)
    if not root.is_file():
        return
    named = lists.listed(root)
    yield from ((place.path, place.mark) for place in named)
    if lists.is_list(root) and all(place.mark == MISSING for place in named):  # they may lie in archives beside it
        yield from ((name, folders.mark(root.parent / name)) for name in archives.beside(root))
