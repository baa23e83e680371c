"""Finds the classes of images in their paths."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import takewhile
from pathlib import PurePosixPath

PARTS = re.compile(
    r"(?:^|[\W_])(?:images?|imgs?|parts?|batch|batches|chunks?|shards?|vol|volume|folds?)$", re.IGNORECASE
)
WORDNET = re.compile(r"n\d{8}_(.+)\.\w+")


def composed(name: str) -> str:
    """A name with its accents as parts of their letters: some systems write folders' names so, others apart."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def of_paths(ids: Sequence[str], level: int = -1) -> list[str] | None:
    """Each image's class: the first folder in which paths differ, or from ImageNet's 'n01440764_tench.JPEG'.

    level: of folders that tell splits and no classes, -1 for none.
    """
    folders = [folders_of(image_id, level) for image_id in ids]
    common = _depth(folders)
    while all(len(parts) > common for parts in folders):
        if not _are_parts({parts[common] for parts in folders}) and not _is_index(folders, common):
            return [parts[common] for parts in folders]
        folders = [parts[:common] + parts[common + 1 :] for parts in folders]
        common = _depth(folders)
    matches = [WORDNET.fullmatch(PurePosixPath(image_id).name) for image_id in ids]
    if all(matches):
        return [match.group(1) for match in matches if match]
    return None


def _are_parts(names: set[str]) -> bool:
    """Whether folders only number the parts of a set ('images_001', 'images_part_2'), and are no classes."""
    bare = {re.sub(r"[\W_]*\d+$", "", name) for name in names}
    return len(bare) == 1 and PARTS.search(bare.pop()) is not None


def _is_index(folders: Sequence[tuple[str, ...]], level: int) -> bool:
    """Whether folders are the first letters of the words that those in them are, as SUN397's ('a/abbey')."""
    return all(
        len(each) > level + 1 and each[level].lower() == each[level + 1][:1].lower() and each[level + 1][:2].isalpha()
        for each in folders
    )


def copies(ids: Sequence[str]) -> list[int]:
    """The images in a folder that has the same folders as lie beside it, as archives are packed twice; as numbers."""
    folders = [folders_of(image_id) for image_id in ids]
    level = _depth(folders)
    inside: dict[str, set[str]] = {}
    for top, inner in {parts[level : level + 2] for parts in folders if len(parts) > level + 1}:
        inside.setdefault(top, set()).add(inner)
    tops = {parts[level] for parts in folders if len(parts) > level} if inside else set()
    again = {top for top, inner in inside.items() if len(tops) > 2 and inner == tops - {top}}
    return [row for row, parts in enumerate(folders) if parts[level : level + 1] and parts[level] in again]


def folders_of(image_id: str, without: int = -1) -> tuple[str, ...]:
    """The folders that an image lies in, from the top. without: a level that is left out, -1 for none."""
    parts = tuple(image_id.split("/")[:-1])
    return parts if without < 0 else parts[:without] + parts[without + 1 :]


def common_depth(ids: Sequence[str]) -> int:
    """How many folders, from the top, all images have in common."""
    return _depth([folders_of(image_id) for image_id in ids])


def _depth(folders: Sequence[tuple[str, ...]]) -> int:
    levels = zip(*folders, strict=False)  # ends with the shortest path
    return sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, levels))
