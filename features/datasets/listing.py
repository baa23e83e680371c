"""What a source holds, file by file, and the set that is made of it: which are images, of which class and split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from features.datasets import classes, kinds, splits
from features.datasets.image_set import FileOpener, ImageSet, set_digest, spelled, with_labels
from features.datasets.kinds import Aside
from features.datasets.splits import Splits
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
    aside:  what was not even listed, and why.
    """

    name: str
    where: str
    names: Sequence[str]
    marks: Sequence[str]
    read: Callable[[int], tuple[bytes, str]]
    locate: Callable[[int], str]
    head: Callable[[int], bytes] | None = None
    aside: tuple[Aside, ...] = ()


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
    )
    parts = splits.by_folder([classes.folders_of(each) for each in ids])
    if parts is None:
        if split not in (None, splits.ALL):
            raise DatasetError(f"{listing.where} has no splits, but {split!r} was asked for. Leave it away.")
        names = classes.of_paths(ids)
        return _noted(opened, ids) if names is None else with_labels(opened, names)
    return _of_split(opened, parts, split, order, listing.where)


def _of_split(images: ImageSet, parts: Splits, split: str | None, order: Sequence[str], where: str) -> ImageSet:
    """The images of a split, whose classes have the places that they have among those of all splits."""
    labels = _labels(images.ids, parts)
    labelled = {name for name in parts.sizes if all(labels[row] is not None for row in _rows(parts, (name,)))}
    taken, rows = cut(images, parts, labelled, split, order, where)
    named = [labels[row] for row in rows]
    if None in named or not {parts.of[row] for row in rows} <= labelled:
        return taken
    return with_labels(taken, [str(label) for label in named], sorted({label for label in labels if label is not None}))


def cut(
    images: ImageSet, parts: Splits, labelled: set[str], split: str | None, order: Sequence[str], where: str
) -> tuple[ImageSet, list[int]]:
    """The images of a split, which they tell, and their rows among all.

    labelled: the splits whose images have labels. Raises DatasetError as `splits.chosen`.
    """
    names = splits.chosen(parts, split, labelled, where, order)
    kind = splits.kind_of(names[0]) or names[0]
    rows = _rows(parts, names)
    taken = images if len(rows) == len(images) else images.take(rows)
    beside = [image_id for image_id, name in zip(images.ids, parts.of, strict=True) if name is None]
    if beside:
        taken = replace(taken, aside=(*taken.aside, Aside("images beside the splits", tuple(beside))))
    if len(parts.sizes) == 1 and not beside:
        return taken, rows  # there was nothing to choose
    notes = (splits.said(parts, names, where),) if split is None else ()
    chosen = split or (names[0] if len(names) == 1 else kind)
    return replace(taken, notes=(*taken.notes, *notes), split=chosen, splits=parts.sizes), rows


def _rows(parts: Splits, names: Sequence[str]) -> list[int]:
    return [row for row, name in enumerate(parts.of) if name in names]


def _labels(ids: Sequence[str], parts: Splits) -> list[str | None]:
    """Each image's class; None for images of splits that have no folders of classes, as test images of competitions."""
    deep = set(parts.sizes)
    for image_id, name in zip(ids, parts.of, strict=True):
        if name in deep and not classes.folders_of(image_id, parts.level):
            deep.discard(name)
    labels: list[str | None] = [None] * len(ids)
    rows = _rows(parts, [*deep])
    found = classes.of_paths([ids[row] for row in rows], parts.level) if rows else None
    for row, label in zip(rows, found or [], strict=False):
        labels[row] = label
    return labels


def _noted(images: ImageSet, ids: Sequence[str]) -> ImageSet:
    """Unlabelled images, and where a few beside folders are the reason, that."""
    folders = [classes.folders_of(image_id) for image_id in ids]
    loose = [image_id for image_id, parts in zip(ids, folders, strict=True) if len(parts) == min(map(len, folders))]
    tops = {parts[len(classes.folders_of(loose[0]))] for parts in folders if len(parts) > min(map(len, folders))}
    if len(tops) < 2 or len(loose) == len(ids):
        return images
    note = (
        f"The images have no labels: {len(loose):,} lie beside the {len(tops):,} folders of others ({loose[0]}). "
        "Where the folders are classes, move these away."
    )
    return replace(images, notes=(note,))
