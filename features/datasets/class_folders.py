"""Labels images by the names of the folders that they lie in."""

from collections.abc import Sequence
from dataclasses import replace

from features.datasets import classes, splits
from features.datasets.cutting import of_split, rows_of
from features.datasets.image_set import ImageSet
from features.datasets.kinds import Aside
from features.datasets.listing import Choice
from features.datasets.splits import Splits
from features.datasets.values import Labels

MOST_LOOSE = 0.05  # of the images, beside folders of classes, that are no part of the set


def of_folders(images: ImageSet, paths: Sequence[str], told: Labels | None, choice: Choice) -> ImageSet:
    """The images, labelled by what they bring or by their folders' names, and cut to a split. paths: (N,) by which.

    A few images beside folders of classes, as a logo, are left aside, and a folder that repeats those beside it.
    """
    paths, parts = cut(paths)
    if told is not None or parts is not None:
        return of_split(images, parts, told or by_folder(paths, parts), choice)
    if copies := classes.copies(paths):
        aside = Aside("a folder with the same folders as lie beside it", tuple(images.ids[row] for row in copies))
        images, paths = _without(images, paths, copies, aside)
    labels = by_folder(paths, None)
    loose = [] if labels.every else _loose(paths)
    if loose and len(loose) <= MOST_LOOSE * len(paths):
        aside = Aside("images beside the folders of classes", tuple(images.ids[row] for row in loose))
        images, paths = _without(images, paths, loose, aside)
        labels = by_folder(paths, None)
    elif loose:
        images = _noted(images, paths, loose)
    return of_split(images, None, labels, choice)


def _without(
    images: ImageSet, paths: Sequence[str], left: Sequence[int], aside: Aside
) -> tuple[ImageSet, Sequence[str]]:
    """Images and their paths without some of them, which are left aside."""
    kept = sorted(set(range(len(paths))).difference(left))
    return replace(images.take(kept), aside=(*images.aside, aside)), [paths[row] for row in kept]


def has_classes(paths: Sequence[str]) -> bool:
    """Whether images lie in folders of classes. paths: (N,) of the images, as folders tell classes and splits."""
    return len({*by_folder(*cut(paths)).names} - {None}) > 1


def cut(paths: Sequence[str]) -> tuple[Sequence[str], Splits | None]:
    """Paths (N,) as folders tell classes and splits, and which split each belongs to; None where none is told."""
    paths = [*map(classes.composed, paths)]
    folders = [classes.folders_of(path) for path in paths]
    apart = splits.crossed(paths, folders)
    parts = splits.by_folder(folders if apart is paths else [classes.folders_of(path) for path in apart])
    return splits.once(apart, parts), parts


def by_folder(paths: Sequence[str], parts: Splits | None) -> Labels:
    """Each image's class; None for images of splits that have no folders of classes, as test images of competitions."""
    if parts is None:
        names = classes.of_paths(paths)
        return Labels([None] * len(paths)) if names is None else Labels(names, sorted(set(names)))
    deep = set(parts.sizes)
    for path, name in zip(paths, parts.of, strict=True):
        if name in deep and not classes.folders_of(path, parts.level):
            deep.discard(name)
    inside: dict[str, set[tuple[str, ...]]] = {name: set() for name in deep}
    for path, name in zip(paths, parts.of, strict=True):
        if name in deep:
            inside[name].add(classes.folders_of(path, parts.level))
    deep -= {name for name, ways in inside.items() if len(ways) == 1 and splits.is_filler(*ways)}  # 'val/images'
    labels: list[str | None] = [None] * len(paths)
    rows = rows_of(parts, [*deep])
    names = classes.of_paths([paths[row] for row in rows], parts.level) if rows else None
    for row, label in zip(rows, names or [], strict=False):
        labels[row] = label
    return Labels(labels, sorted({label for label in labels if label is not None}))


def _loose(paths: Sequence[str]) -> list[int]:
    """The images that lie beside the folders of others, where these are several; as numbers."""
    depths = [path.count("/") for path in paths]
    least = min(depths)
    return [row for row, depth in enumerate(depths) if depth == least] if len(_below(paths, least)) > 1 else []


def _below(paths: Sequence[str], level: int) -> set[str]:
    """The folders at a level."""
    return {parts[level] for parts in map(classes.folders_of, paths) if len(parts) > level}


def _noted(images: ImageSet, paths: Sequence[str], loose: Sequence[int]) -> ImageSet:
    """Images that have no labels since many lie beside folders, and that."""
    first = paths[loose[0]]
    note = (
        f"The images have no labels: {len(loose):,} lie beside the {len(_below(paths, first.count('/'))):,} folders of "
        f"others ({first}). Where the folders are classes, move these away."
    )
    return replace(images, notes=(*images.notes, note))
