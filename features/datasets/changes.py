"""Tells whether the images at a path have changed, without opening them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from features.datasets import folders, kinds, patterns
from features.datasets.lists import opening as lists
from features.sources import is_pattern


def stamp(path: Path) -> str:
    """Hexadecimal SHA-256 that changes when the files at a path, or of a pattern, do: names, sizes and times.

    Of a list also when an image does that it names and that lies on this machine. It takes some microseconds a file.
    Raises DatasetError if a folder below it cannot be read.
    """
    digest = hashlib.sha256()
    for name, mark in _marks(path):
        digest.update(f"{name}\0{mark}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _marks(path: Path) -> Iterator[tuple[str, str]]:
    """The path of every file that counts, with what changes when the file does, in an order of their own."""
    root = path.resolve()
    if is_pattern(str(path)):
        yield from patterns.marks(str(path))
        return
    if not root.is_dir():
        named = lists.listed(root) if root.is_file() else []
        yield str(root), folders.mark(root)
        yield from ((place.path, place.mark) for place in named)
        return
    listing = folders.listing(root)
    yield from (pair for pair in zip(listing.names, listing.marks, strict=True) if kinds.counts(pair[0]))
