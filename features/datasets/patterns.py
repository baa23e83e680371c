"""Patterns that name several files as one source: 'data/test-*.parquet', 'shards/{000..999}.tar'."""

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path

from features import files
from features.datasets import folders, kinds
from features.datasets.archives import opening as archives
from features.datasets.kinds import Aside
from features.datasets.listing import Listing
from features.errors import DatasetError
from features.sources import ARCHIVES, fixed_part

MOST = 1_000_000  # files that braces may name
SOME = 1000  # names of a pattern that a folder is compared with
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")


@dataclass(frozen=True, eq=False)
class Named:
    """What a pattern names, each by its path below a folder.

    root: the folder above all. files: (path, what changes when it does), in order. folders: in order. aside: what is
    named, but not read, and why.
    """

    root: Path
    files: Sequence[tuple[str, str]]
    folders: Sequence[str]
    aside: tuple[Aside, ...] = ()

    def paths(self, endings: tuple[str, ...]) -> list[Path]:
        """The files that are called so."""
        return [self.root / name for name, _ in self.files if name.lower().endswith(endings)]


def named(pattern: str) -> Named:
    """What a pattern names.

    Raises DatasetError if nothing is there that is called so, not all that braces name, or nothing that may be read.
    """
    above = fixed_part(pattern)
    root = files.path_of(above)
    root = root.resolve() if files.is_local(root) else root
    spelt = list(islice(braced(pattern), MOST + 1))
    if len(spelt) > MOST:
        raise DatasetError(f"{pattern} names more than {MOST:,} files. Name fewer.")
    first = len(above) + (not above.endswith("/")) if pattern.startswith(f"{above.rstrip('/')}/") else 0
    names: dict[str, None] = {}
    gone: list[str] = []
    with files.reached(root):
        for each in spelt:
            matches = _matches(root, each[first:])
            names |= dict.fromkeys(matches)
            if not matches:
                gone.append(each)
        if not names:
            raise DatasetError(f"There is nothing that is called {pattern}. Check the path and the pattern.")
        if gone and len(spelt) > 1:
            raise DatasetError(
                f"There is no {gone[0]}, which {pattern} names ({len(gone):,} of {len(spelt):,} are not there). Fetch "
                "it, or name those that are there."
            )
        seen = _looked_at(root, names)
    if not seen.files and not seen.folders and any(each.reason == folders.OUTSIDE for each in seen.aside):
        raise DatasetError(f"{pattern} leads out of the folders that may be read. Name files inside them.")
    return seen


def _looked_at(root: Path, names: Iterable[str]) -> Named:
    """Some paths below a folder by what they are. One look at each, since a pattern may name a million."""
    may_be_read, here, is_local = files.allowed(), f"{str(root).rstrip('/')}/", files.is_local(root)
    told: list[tuple[str, str]] = []
    inner: list[str] = []
    left: dict[str, list[str]] = {}
    for name in names:
        if is_local and not may_be_read(here + name):
            left.setdefault(folders.OUTSIDE, []).append(here + name)
            continue
        mark = folders.mark_at(here + name) if is_local else _mark_at(root / name)
        if mark == folders.A_FOLDER:
            inner.append(name)
        elif mark == folders.NO_FILES:
            left.setdefault(folders.NO_FILES, []).append(name)
        else:
            told.append((name, mark))
    return Named(root, told, inner, tuple(Aside(reason, tuple(some)) for reason, some in left.items()))


def _mark_at(path: Path) -> str:
    return folders.A_FOLDER if path.is_dir() else folders.mark(path)


def braced(pattern: str) -> Iterator[str]:
    """The names that braces stand for, as a shell spells them out: '{08..10}' is 08, 09, 10; '{a,b}' is a, b."""
    parts = BRACES.split(pattern)  # text, what stands in braces, text, ...
    choices = [_choices(part) if number % 2 else [part] for number, part in enumerate(parts)]
    return map("".join, product(*choices))


def _choices(inside: str) -> Sequence[str]:
    bounds = RANGE.fullmatch(inside)
    if bounds is None:
        return inside.split(",") if "," in inside else [f"{{{inside}}}"]
    first, last = bounds.groups()
    width = max(len(first), len(last)) if "0" in (first[:1], last[:1]) and max(len(first), len(last)) > 1 else 0
    if abs(int(last) - int(first)) > MOST:
        raise DatasetError(f"{{{inside}}} stands for more than {MOST:,} names. Name fewer.")
    step = 1 if int(first) <= int(last) else -1
    return [f"{number:0{width}d}" for number in range(int(first), int(last) + step, step)]


def _matches(root: Path, pattern: str) -> list[str]:
    """The paths below a folder that are called so, sorted."""
    if not files.is_local(root):
        path = root / pattern
        if "*" not in pattern:
            return [pattern] if path.exists() else []
        first = len(root.path.rstrip("/")) + 1  # type: ignore[attr-defined]
        matches = root.fs.glob(path.path)  # type: ignore[attr-defined]
        return [each.partition("://")[2][first:] if "://" in each else each[first:] for each in sorted(matches)]
    if (root / pattern).exists():
        return [pattern]
    return sorted(glob.glob(pattern, root_dir=root, recursive=True))  # noqa: PTH207


def listing(pattern: str, seen: Named) -> Listing:
    """The files that a pattern names, in the folders and archives that it names too, by their paths below its root."""
    packed = [name for name, mark in seen.files if name.lower().endswith(ARCHIVES) and mark != folders.UNREADABLE]
    others = {*packed}
    loose = [pair for pair in seen.files if pair[0] not in others]
    parts = [archives.in_folder(name, folders.listing(seen.root / name)) for name in seen.folders]
    parts += [folders.of_marked(pattern, seen.root, loose)] if loose else []
    parts += [archives.of_files(pattern, pattern, seen.root, packed)] if packed else []
    return replace(
        archives.concatenated(seen.root.name or str(seen.root), pattern, parts),
        aside=(*(each for part in parts for each in part.aside), *seen.aside),
    )


def reaches(pattern: str, folder: Path) -> bool:
    """Whether files that are written into a folder would be among those that a pattern names."""
    root, out = files.path_of(fixed_part(pattern)), folder.absolute()
    if not files.is_local(root) or not files.is_local(folder):
        return False
    if "**" in pattern:
        return out.resolve().is_relative_to(root.resolve())
    upwards = [out, *out.parents]
    return any(
        each.match(str(Path(spelt).expanduser().absolute()))
        for spelt in islice(braced(pattern), SOME)
        for each in upwards
    )


def marks(pattern: str) -> list[tuple[str, str]]:
    """Every file that a pattern names, with what changes when the file does."""
    names = named(pattern)
    return [*names.files] + [
        (f"{name}/{inner}", mark)
        for name in names.folders
        for listing_of in (folders.listing(names.root / name),)
        for inner, mark in zip(listing_of.names, listing_of.marks, strict=True)
        if kinds.counts(inner)
    ]
