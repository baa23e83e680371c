"""Labels images by the names of the folders that they lie in."""

from collections.abc import Sequence
from dataclasses import replace

from features.datasets import classes, splits
from features.datasets.cutting import of_split, rows_of
from features.datasets.image_set import ImageSet
from features.datasets.listing import Choice
from features.datasets.splits import Splits
from features.datasets.values import Labels


def of_folders(images: ImageSet, paths: Sequence[str], told: Labels | None, choice: Choice) -> ImageSet:
    """The images, labelled by what they bring or by their folders' names, and cut to a split. paths: (N,) by which."""
    parts = splits.by_folder([classes.folders_of(path) for path in paths])
    paths = splits.once(paths, parts)
    taken = of_split(images, parts, told or by_folder(paths, parts), choice)
    return taken if told or parts is not None else _noted(taken, paths)


def has_classes(paths: Sequence[str]) -> bool:
    """Whether images lie in folders of classes. paths: (N,) of the images, as folders tell classes and splits."""
    parts = splits.by_folder([classes.folders_of(path) for path in paths])
    return len({*by_folder(splits.once(paths, parts), parts).names} - {None}) > 1


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
    deep -= {name for name, found in inside.items() if len(found) == 1 and splits.is_filler(*found)}  # 'val/images'
    labels: list[str | None] = [None] * len(paths)
    rows = rows_of(parts, [*deep])
    found = classes.of_paths([paths[row] for row in rows], parts.level) if rows else None
    for row, label in zip(rows, found or [], strict=False):
        labels[row] = label
    return Labels(labels, sorted({label for label in labels if label is not None}))


def _noted(images: ImageSet, paths: Sequence[str]) -> ImageSet:
    """Unlabelled images, and where a few beside folders are the reason, that."""
    if images.labels is not None:
        return images
    folders = [classes.folders_of(path) for path in paths]
    loose = [path for path, parts in zip(paths, folders, strict=True) if len(parts) == min(map(len, folders))]
    tops = {parts[len(classes.folders_of(loose[0]))] for parts in folders if len(parts) > min(map(len, folders))}
    if len(tops) < 2 or len(loose) == len(paths):
        return images
    note = (
        f"The images have no labels: {len(loose):,} lie beside the {len(tops):,} folders of others ({loose[0]}). "
        "Where the folders are classes, move these away."
    )
    return replace(images, notes=(*images.notes, note))
