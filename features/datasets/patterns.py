"""Patterns that name several files as one source: 'data/test-*.parquet', 'shards/{000..999}.tar'."""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

from features import files
from features.datasets import archives, folders, kinds
from features.datasets.kinds import Aside
from features.datasets.listing import Listing
from features.errors import DatasetError
from features.sources import ARCHIVES, TABLES, fixed_part

MOST = 1_000_000  # files that braces may name
SOME = 1000  # names of a pattern that a folder is compared with
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")


def paths(pattern: str) -> tuple[Path, list[Path], list[str]]:
    """The folder above all that a pattern names, what it names, in order, and what lies where nobody may read.

    Raises DatasetError if nothing is there that is called so, or not all that braces name.
    """
    root = files.path_of(fixed_part(pattern))
    root = root.resolve() if files.is_local(root) else root
    spelt = list(islice(braced(pattern), MOST + 1))
    if len(spelt) > MOST:
        raise DatasetError(f"{pattern} names more than {MOST:,} files. Name fewer.")
    named: dict[Path, None] = {}
    gone: list[str] = []
    with files.reached(root):
        for each in spelt:
            matches = _matches(each)
            named |= dict.fromkeys(matches)
            if not matches:
                gone.append(each)
    if not named:
        raise DatasetError(f"There is nothing that is called {pattern}. Check the path and the pattern.")
    if gone and len(spelt) > 1:
        raise DatasetError(
            f"There is no {gone[0]}, which {pattern} names ({len(gone):,} of {len(spelt):,} are not there). Fetch it, "
            "or name those that are there."
        )
    allowed = [path for path in named if not files.is_local(path) or files.may_be_read(os.path.realpath(path))]
    if not allowed:
        raise DatasetError(f"{pattern} leads out of the folders that may be read. Name files inside them.")
    inside = set(allowed)
    return root, allowed, [str(path) for path in named if path not in inside]


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


def _matches(pattern: str) -> list[Path]:
    """What is there that is called so, sorted."""
    if "://" in pattern:
        path = files.path_of(pattern)
        if "*" not in pattern:
            return [path] if path.exists() else []
        scheme = pattern.partition("://")[0]
        found = path.fs.glob(path.path)  # type: ignore[attr-defined]
        return [files.path_of(each if "://" in each else f"{scheme}://{each}") for each in sorted(found)]
    expanded = str(Path(pattern).expanduser())
    if Path(expanded).exists():
        return [Path(expanded).resolve()]
    return [Path(each).absolute() for each in sorted(glob.glob(expanded, recursive=True))]  # noqa: PTH207


def tables(named: Sequence[Path]) -> list[Path]:
    """What a pattern names, if all of it is tables; none otherwise."""
    return [*named] if all(path.name.lower().endswith(TABLES) for path in named) else []


def listing(pattern: str, root: Path, named: Sequence[Path], outside: Sequence[str]) -> Listing:
    """The files that a pattern names, in the folders and archives that it names too, by their paths below its root."""
    packed = [path for path in named if path.name.lower().endswith(ARCHIVES) and path.is_file()]
    inside = [path for path in named if path.is_dir()]
    others = {*packed, *inside}
    loose = [path for path in named if path not in others and path.is_file()]
    parts = [_folder(root, path) for path in inside]
    parts += [folders.of_paths(pattern, root, [_below(root, path) for path in loose])] if loose else []
    parts += [archives.of_files(pattern, pattern, root, [_below(root, path) for path in packed])] if packed else []
    return replace(
        archives.concatenated(root.name or str(root), pattern, parts),
        aside=(*(each for part in parts for each in part.aside), *_outside(outside)),
    )


def _outside(names: Sequence[str]) -> tuple[Aside, ...]:
    return (Aside(folders.OUTSIDE, tuple(names)),) if names else ()


def _folder(root: Path, path: Path) -> Listing:
    return archives.in_folder(_below(root, path), folders.listing(path))


def _below(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


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
    _, named, _ = paths(pattern)
    return [(str(path), folders.mark(path)) for path in named if not path.is_dir()] + [
        (f"{path}/{name}", mark)
        for path in named
        if path.is_dir()
        for listing_of in (folders.listing(path),)
        for name, mark in zip(listing_of.names, listing_of.marks, strict=True)
        if kinds.counts(name)
    ]
