"""Images in archives (zips, tars, compressed or not), told by their content, and in archives inside these."""

import errno
import os
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import TypeVar

from features import files
from features.datasets import kinds, series
from features.datasets.archives import tars, zips
from features.datasets.archives.spans import Span
from features.datasets.image_set import spelled
from features.datasets.kinds import Aside
from features.datasets.listing import Listing
from features.errors import DatasetError, FeatureError, ImageError
from features.sources import ARCHIVES, LISTS, TABLES

Given = TypeVar("Given")

DEPTH = 2  # how many archives may lie in each other below the one that is named
MOST = 20_000  # archives of one set
TAR, ZIP = "tar", "zip"
READERS = {TAR: tars, ZIP: zips}
STEP = re.compile(r"::(?=(?:zip|tar)://)")
BROKEN = "archives that cannot be opened"


def kind_of(span: Span) -> str | None:
    """'tar' or 'zip', None for a file that is neither. Tars first: one that ends in a zip looks like a zip."""
    return TAR if tars.is_tar(span) else ZIP if zips.is_zip(span) else None


def is_archive(path: Path) -> bool:
    return kind_of(Span(path)) is not None


def beside(path: Path) -> list[str]:
    """The names of the archives that lie in a file's folder; none at an address, where listing it may take long."""
    if not files.is_local(path):
        return []
    with os.scandir(path.resolve().parent) as entries:
        names = sorted(entry.name for entry in entries if entry.name.lower().endswith(ARCHIVES) and entry.is_file())
    return [name for name in names if not kinds.is_hidden(name)]


def stem(name: str) -> str:
    """A file's name without an archive's ending."""
    ending = max((end for end in ARCHIVES if name.lower().endswith(end)), key=len, default="")
    return name[: len(name) - len(ending)] if ending else PurePosixPath(name).stem


def listing(path: Path) -> Listing:
    """The files in an archive. Raises DatasetError if it cannot be opened."""
    listed = _listing(Span(path), stem(path.name), str(path), str(path.resolve()), 0)
    # A shard is called the same alone as among others, and its name is no class.
    return replace(listed, **_below(listed.name, "", listed)) if listed.is_shard else listed


def _listing(span: Span, name: str, where: str, uri: str, depth: int) -> Listing:
    """depth: of how many archives this one lies in."""
    kind = kind_of(span)
    if kind is None:
        raise DatasetError(f"{where} is neither a zip nor a tar. Make or copy it again.")
    listed = READERS[kind].listing(span, name, where, uri)
    inner = [each for each in listed.names if each.lower().endswith(ARCHIVES) and not kinds.is_hidden(each)]
    if not inner or depth == DEPTH or any(map(kinds.looks_like_image, listed.names)):
        return listed

    def opened(member: str) -> Listing:
        part = READERS[kind].part_of(span, member, where)
        return _listing(part, stem(member), f"{where}/{member}", f"{kind}://{spelled(member)}::{uri}", depth + 1)

    whole = joined(name, where, inner, lambda member: _reached(span.path, f"{where}/{member}", opened, member))
    telling = [number for number, each in enumerate(listed.names) if each.lower().endswith((*LISTS, *TABLES))]
    if telling:  # of what is in the archives
        whole = concatenated(name, where, [whole, replace(listed.part(telling), aside=(), notes=())])
    return replace(whole, aside=(*listed.aside, *whole.aside), notes=(*listed.notes, *whole.notes))


def of_files(name: str, where: str, root: Path, names: Sequence[str]) -> Listing:
    """The files in several archives below a folder."""

    def opened(each: str) -> Listing:
        return _listing(Span(root / each), stem(each), str(root / each), str(root / each), 0)

    return joined(name, where, names, lambda each: _reached(root / each, str(root / each), opened, each))


def _reached(path: Path, where: str, opened: Callable[[str], Listing], name: str) -> Listing:
    """What is opened. Raises DatasetError or ImageError if it is damaged, Unreachable for a store's moment."""
    try:
        return opened(name)
    except (DatasetError, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not files.is_local(path) and isinstance(cause, OSError):
            raise files.Unreachable(errno.EIO, f"it cannot be reached ({cause})", str(path)) from error
        if isinstance(error, OSError):
            raise DatasetError(f"{where} cannot be read: {error.strerror or error}. Copy it again.") from error
        raise


def joined(name: str, where: str, names: Sequence[str], opened: Callable[[str], Listing]) -> Listing:
    """The files of several archives as those of folders that are called as these are, without the ending.

    What only numbers archives ('train-000017') is no part of what tells classes and splits. Archives that cannot be
    opened are left aside; the last of their errors is raised if that is all of them.
    """
    if len(names) > MOST:
        raise DatasetError(f"{where} has {len(names):,} archives, but at most {MOST:,} are opened. Name some of them.")
    listings: dict[str, Listing] = {}
    broken: dict[str, FeatureError] = {}
    for each in names:
        try:
            listings[each] = opened(each)
        except (DatasetError, ImageError) as error:
            broken[each] = error
    if not listings and broken:
        raise next(iter(broken.values()))
    folders = _folders([*listings])
    parts = [
        replace(listed, **_below(folder, bare, listed))
        for listed, folder, bare in zip(listings.values(), folders, series.bare(folders), strict=True)
    ]
    whole = concatenated(name, where, parts)
    if not broken:
        return whole
    first = next(iter(broken.values()))
    return replace(whole, aside=(*whole.aside, Aside(BROKEN, tuple(broken))), notes=(*whole.notes, str(first)))


def _folders(names: Sequence[str]) -> list[str]:
    """What the folders of archives are called: as these without their ending, unless two are called so."""
    stems = [stem(name) for name in names]
    counts = Counter(stems)
    return [short if counts[short] == 1 else name for short, name in zip(stems, names, strict=True)]


def in_folder(folder: str, listing: Listing) -> Listing:
    """A listing as that of a folder of this name."""
    return replace(listing, **_below(folder, folder, listing))


def _below(folder: str, bare: str, listing: Listing) -> dict:
    """A listing's fields that change when its files lie in a folder. bare: what is told by the folder's name."""
    paths = listing.names if listing.paths is None else listing.paths
    return {
        "names": [f"{folder}/{each}" for each in listing.names],
        "paths": [f"{bare}/{each}" if bare else each for each in paths],
        "aside": tuple(Aside(each.reason, tuple(f"{folder}/{name}" for name in each.names)) for each in listing.aside),
        "read": _called_below(folder, listing.read),
        "file": None if listing.file is None else _called_below(folder, listing.file),
    }


def _called_below(folder: str, give: Callable[[int], tuple[Given, str]]) -> Callable[[int], tuple[Given, str]]:
    """What gives something of a file and its name, with the name that it has in a folder."""

    def given(number: int) -> tuple[Given, str]:
        value, name = give(number)
        return value, f"{folder}/{name}"

    return given


def concatenated(name: str, where: str, parts: Sequence[Listing]) -> Listing:
    """The files of several listings, one after the other."""
    starts = [0, *accumulate(len(part.names) for part in parts)]

    def of(number: int) -> tuple[Listing, int]:
        part = bisect_right(starts, number) - 1
        return parts[part], number - starts[part]

    def head(number: int) -> bytes:
        part, own = of(number)
        return part.head(own) if part.head is not None else b""

    def read(number: int) -> tuple[bytes, str]:
        part, own = of(number)
        return part.read(own)

    def locate(number: int) -> str:
        part, own = of(number)
        return part.locate(own)

    def file(number: int) -> tuple[str, str]:
        part, own = of(number)
        assert part.file is not None
        return part.file(own)

    labelled = any(part.labels is not None for part in parts)
    return Listing(
        name,
        where,
        [each for part in parts for each in part.names],
        [each for part in parts for each in part.marks],
        read,
        locate,
        None if any(part.head is None for part in parts) else head,
        _gathered([each for part in parts for each in part.aside]),
        tuple(note for part in parts for note in part.notes),
        [each for part in parts for each in (part.names if part.paths is None else part.paths)],
        [each for part in parts for each in part.labels or [None] * len(part.names)] if labelled else None,
        any(part.is_shard for part in parts),
        None if any(part.file is None for part in parts) else file,
    )


def _gathered(aside: Sequence[Aside]) -> tuple[Aside, ...]:
    """What was left aside, of one reason together."""
    names: dict[str, list[str]] = {}
    for each in aside:
        names.setdefault(each.reason, []).extend(each.names)
    return tuple(Aside(reason, tuple(some)) for reason, some in names.items())


def read_uri(kind: str, steps: str, path: Path) -> tuple[bytes, str]:
    """The bytes of an image of an archive, and its name. steps: the member, and those archives that it lies in, from
    the innermost on, as in 'cat/1.jpg::zip://train.zip'. Raises ImageError.
    """
    inner, *outer = STEP.split(f"{kind}://{steps}")
    span, where = Span(path), str(path)
    try:
        for step in reversed(outer):
            outer_kind, _, member = step.partition("://")
            span, where = READERS[outer_kind].part_of(span, member, where), f"{where}/{member}"
        member = inner.partition("://")[2]
        return READERS[kind].read_member(span, member, where), member
    except DatasetError as error:
        raise ImageError(str(error)) from error
