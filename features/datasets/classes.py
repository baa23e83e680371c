"""Finds the classes of images in their paths."""

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import PurePosixPath

WORDNET = re.compile(r"n\d{8}_(.+)\.\w+")


def of_paths(ids: Sequence[str], level: int = -1) -> list[str] | None:
    """Each image's class: the first folder in which paths differ, or from ImageNet's 'n01440764_tench.JPEG'.

    level: of folders that tell splits and no classes, -1 for none.
    """
    folders = [folders_of(image_id, level) for image_id in ids]
    common = _depth(folders)
    if all(len(parts) > common for parts in folders):
        return [parts[common] for parts in folders]
    matches = [WORDNET.fullmatch(PurePosixPath(image_id).name) for image_id in ids]
    if all(matches):
        return [match.group(1) for match in matches if match]
    return None


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
