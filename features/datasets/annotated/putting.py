"""Puts what is said of images, beside them, on these."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from features.datasets import classes, splits
from features.datasets.annotated.annotations import Annotations
from features.datasets.class_folders import by_folder
from features.datasets.columns import column_of
from features.datasets.cutting import cut, need_no_split
from features.datasets.image_set import ImageSet, set_digest
from features.datasets.kinds import Aside
from features.datasets.labelling import Labelling
from features.datasets.listing import Choice
from features.datasets.splits import Splits


def put(images: ImageSet, paths: Sequence[str], said: Annotations, choice: Choice) -> ImageSet:
    """The images of which something is said, cut to a split; the others are left aside, or splits without labels.

    paths: (N,) by which folders tell classes and splits.
    """
    folders = splits.by_folder([classes.folders_of(path) for path in paths])
    by_folders = by_folder(splits.once(paths, folders), folders)
    said = _completed(said, folders, by_folders.names)
    parts = None if said.splits is None else Splits(_spread([*said.splits], said.rows, len(images), None))
    parts = parts or folders
    labelling: Labelling | None = None
    if said.labelling is not None:
        labelling = replace(said.labelling, of=_spread([*said.labelling.of], said.rows, len(images), None))
    elif (names := _all(by_folders.names)) is not None:
        labelling = Labelling([(name,) for name in names], tuple(sorted(set(names))))
    if parts is None:
        need_no_split(choice)
        taken, rows = images, [*range(len(images))]
    else:
        some = {str(parts.of[row]) for row in said.rows}  # the splits of which something is said
        taken, rows = cut(images, parts, some, choice)
    if labelling is not None and said.labelling is not None:
        labelling = _named(labelling, _all(by_folders.names))
    return _with(taken, rows, said, labelling)


def with_columns(images: ImageSet, ids: Sequence[str], said: Annotations) -> ImageSet:
    """The images with what a table says of them beside labels; of those that it does not name that is not known."""
    place = {ids[row]: index for index, row in enumerate(said.rows)}
    cells = {name: values.tolist() for name, values in said.columns.items()}
    rows = [place.get(image_id) for image_id in images.ids]
    columns = {
        name: column_of([None if row is None else values[row] for row in rows]) for name, values in cells.items()
    }
    known = [row for row in rows if row is not None]
    return replace(
        images, columns=columns, notes=(*said.notes, *images.notes), digest=_digest_with(images, said, known)
    )


def _all(names: Sequence[str | None]) -> list[str] | None:
    """Names, if none is missing."""
    known = [name for name in names if name is not None]
    return known if len(known) == len(names) else None


def _completed(said: Annotations, folders: Splits | None, names: Sequence[str | None]) -> Annotations:
    """What is said of images, with the folders' names for splits that it leaves out, where these are classes that it
    names too: 'val.txt' beside folders of classes in 'train'.

    folders: the splits by folders. names: (N,) each image's class by its folder.
    """
    labelling = said.labelling
    if labelling is None or labelling.many or folders is None or said.splits is not None or said.boxes is not None:
        return said
    told = {folders.of[row] for row in said.rows}
    bare = {split for split, name in zip(folders.of, names, strict=True) if name is None}  # as a competition's test
    others = [row for row, split in enumerate(folders.of) if split is not None and split not in told | bare]
    own = [names[row] for row in others]
    if not {*own} & {*labelling.classes}:
        return said
    known = {row: place for place, row in enumerate(said.rows)}
    rows = sorted([*said.rows, *others])
    cells = {name: values.tolist() for name, values in said.columns.items()}
    return replace(
        said,
        rows=rows,
        labelling=replace(
            labelling,
            of=[labelling.of[known[row]] if row in known else (str(names[row]),) for row in rows],
            classes=tuple(sorted({*labelling.classes, *map(str, own)})),
        ),
        columns={
            name: column_of([values[known[row]] if row in known else None for row in rows])
            for name, values in cells.items()
        },
    )


def _named(labelling: Labelling, folders: Sequence[str] | None) -> Labelling:
    """Labels that are numbers by the names of the folders that the images lie in, where these are the same classes."""
    if folders is None or labelling.many or not all(map(str.isdecimal, labelling.classes)):
        return labelling
    known = {(names[0], folder) for names, folder in zip(labelling.of, folders, strict=True) if names}
    if not len(known) == len({number for number, _ in known}) == len({folder for _, folder in known}):
        return labelling
    name_of = dict(known)
    of = [(name_of[names[0]],) if names else None for names in labelling.of]
    return Labelling(of, tuple(sorted(name_of.values())))


def _with(images: ImageSet, rows: Sequence[int], said: Annotations, labelling: Labelling | None) -> ImageSet:
    """Images at some rows of a source with what is said of them; those of which nothing is said are left aside."""
    place = {row: index for index, row in enumerate(said.rows)}
    named = [number for number, row in enumerate(rows) if row in place]
    if not named:  # a split of which nothing is said
        return images
    if len(named) < len(rows):
        others = [images.ids[number] for number, row in enumerate(rows) if row not in place]
        aside = (*images.aside, Aside(f"{said.where} does not name them", tuple(others)))
        images = replace(images.take(named), aside=aside)
    taken = [place[rows[number]] for number in named]
    images = replace(
        images,
        columns={name: values[taken] for name, values in said.columns.items()},
        boxes=None if said.boxes is None else said.boxes.take(taken),
        notes=(*said.notes, *images.notes),
        digest=_digest_with(images, said, taken),
    )
    return images if labelling is None else labelling.take([rows[number] for number in named]).put(images, said.where)


def _spread(values: list[Any], rows: Sequence[int], size: int, instead: Any) -> list[Any]:
    """Values of some rows among all."""
    every = [instead] * size
    for row, value in zip(rows, values, strict=True):
        every[row] = value
    return every


def _digest_with(images: ImageSet, said: Annotations, taken: Sequence[int]) -> str:
    """Other labels or columns are another set."""
    labels = [] if said.labelling is None else [str(said.labelling.of[row]) for row in taken]
    columns = [f"{name} {values[taken].tolist()}" for name, values in said.columns.items()]
    return set_digest([images.digest, *labels, *columns], ["", *[""] * (len(labels) + len(columns))])
