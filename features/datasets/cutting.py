"""Cuts images to a split, with the labels that they have."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from features.datasets import splits
from features.datasets.image_set import ImageSet, with_labels
from features.datasets.kinds import Aside
from features.datasets.labelling import Labelling
from features.datasets.listing import Choice
from features.datasets.splits import Splits
from features.datasets.values import Labels
from features.errors import DatasetError

SPLIT_COLUMN = "split"  # of images of several splits, which one each is of, as its source spells it


def of_split(images: ImageSet, parts: Splits | None, labels: Labels, choice: Choice) -> ImageSet:
    """The images of a split, whose classes have the places that they have among those of all splits; all where there
    are no splits.

    Those of a split of which some images have no label have none, which is told. Raises DatasetError if there is no
    such split.
    """
    if parts is None:
        need_no_split(choice)
        return _labelled(images, range(len(images)), labels)
    labelled = {name for name in parts.sizes if all(labels.names[row] is not None for row in rows_of(parts, (name,)))}
    taken, rows = cut(images, parts, labelled, choice)
    return _labelled(taken, rows, labels)


def of_split_labelled(images: ImageSet, parts: Splits | None, labelling: Labelling | None, choice: Choice) -> ImageSet:
    """As `of_split`, of images that may have any number of labels; None for no labels.

    Raises DatasetError also if only some images of a split that is taken have labels.
    """
    if parts is None:
        need_no_split(choice)
        return images if labelling is None else labelling.put(images, choice.where)
    unlabelled = set() if labelling is None else {p for p, n in zip(parts.of, labelling.of, strict=True) if n is None}
    known = {name for name in parts.sizes if labelling is not None and name not in unlabelled}
    taken, rows = cut(images, parts, known, choice)
    return taken if labelling is None else labelling.take(rows).put(taken, choice.where)


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


def need_no_split(choice: Choice) -> None:
    if choice.split not in (None, splits.ALL):
        raise DatasetError(f"{choice.where} has no splits, but {choice.split!r} was asked for. Leave it away.")


def cut(images: ImageSet, parts: Splits, labelled: set[str], choice: Choice) -> tuple[ImageSet, list[int]]:
    """The images of a split, which they tell, and their rows among all. Those of several splits tell each their own.

    labelled: the splits whose images have labels. Raises DatasetError as `splits.chosen`.
    """
    names = splits.chosen(parts, choice.split, labelled, choice.where, choice.order)
    kind = splits.kind_of(names[0]) or names[0]
    rows = rows_of(parts, names)
    taken = images if len(rows) == len(images) else images.take(rows)
    if len(names) > 1 and SPLIT_COLUMN not in taken.columns:
        of = np.array([parts.of[row] for row in rows], dtype=object)  # (N,)
        taken = replace(taken, columns={**taken.columns, SPLIT_COLUMN: of})
    beside = [image_id for image_id, name in zip(images.ids, parts.of, strict=True) if name is None]
    if beside:
        taken = replace(taken, aside=(*taken.aside, Aside("images beside the splits", tuple(beside))))
    if len(parts.sizes) == 1 and not beside:
        return taken, rows  # there was nothing to choose
    notes = (splits.said(parts, names, choice.where),) if choice.split is None else ()
    chosen = choice.split or (names[0] if len(names) == 1 else kind)
    return replace(taken, notes=(*taken.notes, *notes), split=chosen, splits=parts.sizes), rows


def rows_of(parts: Splits, names: Sequence[str]) -> list[int]:
    wanted = set(names)
    return [row for row, name in enumerate(parts.of) if name in wanted]
