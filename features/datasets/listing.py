"""What a source holds, file by file, and the set that is made of it: which are images, of which class and split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from features.datasets import classes, kinds, splits
from features.datasets.image_set import FileOpener, ImageSet, set_digest, spelled, with_labels
from features.datasets.kinds import Aside
from features.datasets.splits import Splits
from features.datasets.values import Labels, labels_of
from features.errors import DatasetError
from features.sources import EXTENSIONS


@dataclass(frozen=True, eq=False)
class Listing:
    """The files of a source, in the order that their set will have.

    name:   what the set is called. where: the source, as errors call it.
    names:  of the files, inside the source. marks: what changes when a file does.
    read:   number of a file -> its bytes, and what to call it in an error. Raises ImageError.
    locate: number of a file -> where it lies (`ImageSet.uri`).
    head:   number of a file -> its first bytes; None where that takes long.
    aside:  what was not even listed, and why. notes: what is to be told of the source as a whole.
    paths:  the names as their folders tell classes and splits, where these are others, as of numbered shards.
    labels: what is said of each file's class; None where folders tell it.
    is_shard: whether the source is one of several that only cut a set into parts, so that its name means no class.
    """

    name: str
    where: str
    names: Sequence[str]
    marks: Sequence[str]
    read: Callable[[int], tuple[bytes, str]]
    locate: Callable[[int], str]
    head: Callable[[int], bytes] | None = None
    aside: tuple[Aside, ...] = ()
    notes: tuple[str, ...] = ()
    paths: Sequence[str] | None = None
    labels: Sequence[object] | None = None
    is_shard: bool = False


@dataclass(frozen=True)
class Choice:
    """Which split to take (`splits.chosen`). where: the source, as sentences call it."""

    split: str | None
    order: Sequence[str]
    where: str


def understood(listing: Listing, split: str | None = None, order: Sequence[str] = splits.HELD_OUT) -> ImageSet:
    """The images among some files, labelled by their folders' names and cut to a split.

    split, order: as of `splits.chosen`. Raises DatasetError if there are no images, or no such split.
    """
    numbers, aside = kinds.sorted_out(listing.names, listing.head)
    if not numbers:
        raise DatasetError(
            f"{listing.where} holds no images ({', '.join(EXTENSIONS)}). Is it the right place?"
            f"{''.join(f' {each}' for each in (*listing.aside, *aside)[:3])}"
        )
    ids = [spelled(listing.names[number]) for number in numbers]
    digest = set_digest(ids, [listing.marks[number] for number in numbers])
    opened = ImageSet(
        listing.name,
        tuple(ids),
        None,
        (),
        digest,
        FileOpener(lambda index: listing.read(numbers[index])),
        lambda index: listing.locate(numbers[index]),
        aside=(*listing.aside, *aside),
        notes=listing.notes,
    )
    paths = ids if listing.paths is None else [spelled(listing.paths[number]) for number in numbers]
    parts = splits.by_folder([classes.folders_of(path) for path in paths])
    said = None if listing.labels is None else labels_of([listing.labels[number] for number in numbers])
    labels = said or _by_folder(paths, parts)
    taken = of_split(opened, parts, labels, Choice(split, order, listing.where))
    return taken if said or parts is not None else _noted(taken, paths)


def of_split(images: ImageSet, parts: Splits | None, labels: Labels, choice: Choice) -> ImageSet:
    """The images of a split, whose classes have the places that they have among those of all splits; all where there
    are no splits.

    Those of a split of which some images have no label have none, which is told. Raises DatasetError if there is no
    such split.
    """
    if parts is None:
        if choice.split not in (None, splits.ALL):
            raise DatasetError(
                f"{choice.where} has no splits, but {choice.split!r} was asked for. Leave the split away."
            )
        return _labelled(images, range(len(images)), labels)
    labelled = {name for name in parts.sizes if all(labels.names[row] is not None for row in _rows(parts, (name,)))}
    names = splits.chosen(parts, choice.split, labelled, choice.where, choice.order)
    kind = splits.kind_of(names[0]) or names[0]
    rows = _rows(parts, names)
    taken = _labelled(images if len(rows) == len(images) else images.take(rows), rows, labels)
    beside = [image_id for image_id, name in zip(images.ids, parts.of, strict=True) if name is None]
    if beside:
        taken = replace(taken, aside=(*taken.aside, Aside("images beside the splits", tuple(beside))))
    if len(parts.sizes) == 1 and not beside:
        return taken  # there was nothing to choose
    notes = (splits.said(parts, names, choice.where),) if choice.split is None else ()
    split = choice.split or (names[0] if len(names) == 1 else kind)
    return replace(taken, notes=(*taken.notes, *notes), split=split, splits=parts.sizes)


def _labelled(images: ImageSet, rows: Sequence[int], labels: Labels) -> ImageSet:
    """Images with their labels, if all have one. rows: where they stand among those of all splits."""
    names = [labels.names[row] for row in rows]
    missing = [image_id for image_id, name in zip(images.ids, names, strict=True) if name is None]
    if not missing and labels.numbers is not None:
        return replace(images, labels=labels.numbers[list(rows)], class_names=tuple(labels.every))
    if not missing:
        return with_labels(images, [str(name) for name in names], labels.every)
    why = labels.problem
    if not why and len(missing) < len(images):
        why = f"{len(missing):,} of {len(images):,} have none ({missing[0]})"
    if not why:
        return images
    return replace(images, notes=(*images.notes, f"The images have no labels: {why}. Label all of them, or none."))


def _rows(parts: Splits, names: Sequence[str]) -> list[int]:
    wanted = set(names)
    return [row for row, name in enumerate(parts.of) if name in wanted]


def _by_folder(paths: Sequence[str], parts: Splits | None) -> Labels:
    """Each image's class; None for images of splits that have no folders of classes, as test images of competitions."""
    if parts is None:
        names = classes.of_paths(paths)
        return Labels([None] * len(paths)) if names is None else Labels(names, sorted(set(names)))
    deep = set(parts.sizes)
    for path, name in zip(paths, parts.of, strict=True):
        if name in deep and not classes.folders_of(path, parts.level):
            deep.discard(name)
    labels: list[str | None] = [None] * len(paths)
    rows = _rows(parts, [*deep])
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
