"""What a source holds, file by file, and the set that is made of it: which are images, of which class and split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from features.datasets import beside, classes, coco, cub, kinds, splits, voc
from features.datasets.annotations import Annotations
from features.datasets.columns import column_of
from features.datasets.image_set import Columns, FileOpener, ImageSet, set_digest, spelled, telling, with_labels
from features.datasets.kinds import Aside
from features.datasets.labelling import Labelling
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

    def part(self, numbers: Sequence[int]) -> "Listing":
        """Some of the files, by their numbers."""
        head = self.head
        return replace(
            self,
            names=[self.names[number] for number in numbers],
            marks=[self.marks[number] for number in numbers],
            read=lambda index: self.read(numbers[index]),
            locate=lambda index: self.locate(numbers[index]),
            head=None if head is None else lambda index: head(numbers[index]),
            paths=None if self.paths is None else [self.paths[number] for number in numbers],
            labels=None if self.labels is None else [self.labels[number] for number in numbers],
        )


@dataclass(frozen=True)
class Choice:
    """Which split to take (`splits.chosen`). where: the source, as sentences call it."""

    split: str | None
    order: Sequence[str]
    where: str


def understood(
    listing: Listing,
    split: str | None = None,
    order: Sequence[str] = splits.HELD_OUT,
    columns: Columns = Columns(),  # noqa: B008  # frozen
) -> ImageSet:
    """The images among some files, labelled by what lies beside them or by their folders' names, and cut to a split.

    split, order: as of `splits.chosen`. columns: of a table of labels beside, where they are not to be guessed.
    Raises DatasetError if there are no images, no such split or no such columns.
    """
    images, numbers = _images(listing)
    paths = images.ids if listing.paths is None else [spelled(listing.paths[number]) for number in numbers]
    told = None if listing.labels is None else labels_of([listing.labels[number] for number in numbers])
    choice = Choice(split, order, listing.where)

    failed: list[str] = []

    def of_tables(files: Listing, ids: Sequence[str]) -> Annotations | None:
        return beside.of_tables(files, ids, columns, failed, lambda: _has_classes(paths))

    def of_voc(files: Listing, ids: Sequence[str]) -> Annotations | None:
        return voc.of_listing(files, ids, lambda: _has_classes(paths))

    ways = (coco.of_listing, cub.of_listing, of_voc, of_tables) if columns == Columns() else (of_tables,)
    said = None if told else next((found for way in ways if (found := way(listing, images.ids)) is not None), None)
    images = replace(images, notes=(*images.notes, *failed), table=None if said is None else said.table)
    if said is None:
        return _of_folders(images, paths, told, choice)
    images = replace(images, aside=_without(images.aside, {*said.files}))
    if said.labelling is None and said.splits is None:
        return _with_columns(_of_folders(images, paths, told, choice), images.ids, said)
    with telling(said.table.names if said.table is not None else ()):
        return _annotated(images, paths, said, choice)


def _has_classes(paths: Sequence[str]) -> bool:
    """Whether images lie in folders of classes. paths: (N,) of the images, as folders tell classes and splits."""
    parts = splits.by_folder([classes.folders_of(path) for path in paths])
    return len({*_by_folder(splits.once(paths, parts), parts).names} - {None}) > 1


def _without(aside: Sequence[Aside], used: set[str]) -> tuple[Aside, ...]:
    """What is left aside but for files that say something of the images."""
    left = [Aside(each.reason, tuple(name for name in each.names if name not in used)) for each in aside]
    return tuple(each for each in left if each.names)


def _of_folders(images: ImageSet, paths: Sequence[str], told: Labels | None, choice: Choice) -> ImageSet:
    """The images, labelled by what they bring or by their folders' names, and cut to a split. paths: (N,) by which."""
    parts = splits.by_folder([classes.folders_of(path) for path in paths])
    paths = splits.once(paths, parts)
    taken = of_split(images, parts, told or _by_folder(paths, parts), choice)
    return taken if told or parts is not None else _noted(taken, paths)


def _with_columns(images: ImageSet, ids: Sequence[str], said: Annotations) -> ImageSet:
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


def annotated(
    listing: Listing,
    annotate: Callable[[Sequence[str]], Annotations | None],
    split: str | None = None,
    order: Sequence[str] = splits.HELD_OUT,
) -> ImageSet | None:
    """The images among some files of which something is said; None if that is none. annotate: ids -> what is said."""
    if not any(map(kinds.looks_like_image, listing.names)):
        return None
    images, _ = _images(listing)
    said = annotate(images.ids)
    if said is None:
        return None
    # No other image is of interest here, nor what else lies there.
    images = replace(images.take(said.rows), aside=())
    said = replace(said, rows=range(len(images)))
    return _annotated(images, images.ids, said, Choice(split, order, said.where))


def _images(listing: Listing) -> tuple[ImageSet, list[int]]:
    """The images among some files, without labels, and which of the files they are."""
    numbers, aside = kinds.sorted_out(listing.names, listing.head)
    if not numbers:
        raise DatasetError(
            f"{listing.where} holds no images ({', '.join(EXTENSIONS)}). Is it the right place?"
            f"{''.join(f' {each}' for each in (*listing.aside, *aside)[:3])}"
        )
    ids = [spelled(listing.names[number]) for number in numbers]
    opened = ImageSet(
        listing.name,
        tuple(ids),
        None,
        (),
        set_digest(ids, [listing.marks[number] for number in numbers]),
        FileOpener(lambda index: listing.read(numbers[index])),
        lambda index: listing.locate(numbers[index]),
        aside=(*listing.aside, *aside),
        notes=listing.notes,
    )
    return opened, numbers


def of_split(images: ImageSet, parts: Splits | None, labels: Labels, choice: Choice) -> ImageSet:
    """The images of a split, whose classes have the places that they have among those of all splits; all where there
    are no splits.

    Those of a split of which some images have no label have none, which is told. Raises DatasetError if there is no
    such split.
    """
    if parts is None:
        _need_no_split(choice)
        return _labelled(images, range(len(images)), labels)
    labelled = {name for name in parts.sizes if all(labels.names[row] is not None for row in _rows(parts, (name,)))}
    taken, rows = cut(images, parts, labelled, choice)
    return _labelled(taken, rows, labels)


def of_split_labelled(images: ImageSet, parts: Splits | None, labelling: Labelling | None, choice: Choice) -> ImageSet:
    """As `of_split`, of images that may have any number of labels; None for no labels.

    Raises DatasetError also if only some images of a split that is taken have labels.
    """
    if parts is None:
        _need_no_split(choice)
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


def _need_no_split(choice: Choice) -> None:
    if choice.split not in (None, splits.ALL):
        raise DatasetError(f"{choice.where} has no splits, but {choice.split!r} was asked for. Leave it away.")


def _annotated(images: ImageSet, paths: Sequence[str], said: Annotations, choice: Choice) -> ImageSet:
    """The images of which something is said, cut to a split; the others are left aside, or splits without labels.

    paths: (N,) by which folders tell classes and splits.
    """
    folders = splits.by_folder([classes.folders_of(path) for path in paths])
    by_folders = _by_folder(splits.once(paths, folders), folders)
    said = _completed(said, folders, by_folders.names)
    parts = None if said.splits is None else Splits(_spread([*said.splits], said.rows, len(images), None))
    parts = parts or folders
    labelling: Labelling | None = None
    if said.labelling is not None:
        labelling = replace(said.labelling, of=_spread([*said.labelling.of], said.rows, len(images), None))
    elif (names := _all(by_folders.names)) is not None:
        labelling = Labelling([(name,) for name in names], tuple(sorted(set(names))))
    if parts is None:
        _need_no_split(choice)
        taken, rows = images, [*range(len(images))]
    else:
        some = {str(parts.of[row]) for row in said.rows}  # the splits of which something is said
        taken, rows = cut(images, parts, some, choice)
    if labelling is not None and said.labelling is not None:
        labelling = _named(labelling, _all(by_folders.names))
    return _with(taken, rows, said, labelling)


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
    others = [row for row, split in enumerate(folders.of) if split is not None and split not in told]
    own = [names[row] for row in others]
    if None in own or not {*own} & {*labelling.classes}:
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


def cut(images: ImageSet, parts: Splits, labelled: set[str], choice: Choice) -> tuple[ImageSet, list[int]]:
    """The images of a split, which they tell, and their rows among all.

    labelled: the splits whose images have labels. Raises DatasetError as `splits.chosen`.
    """
    names = splits.chosen(parts, choice.split, labelled, choice.where, choice.order)
    kind = splits.kind_of(names[0]) or names[0]
    rows = _rows(parts, names)
    taken = images if len(rows) == len(images) else images.take(rows)
    beside = [image_id for image_id, name in zip(images.ids, parts.of, strict=True) if name is None]
    if beside:
        taken = replace(taken, aside=(*taken.aside, Aside("images beside the splits", tuple(beside))))
    if len(parts.sizes) == 1 and not beside:
        return taken, rows  # there was nothing to choose
    notes = (splits.said(parts, names, choice.where),) if choice.split is None else ()
    chosen = choice.split or (names[0] if len(names) == 1 else kind)
    return replace(taken, notes=(*taken.notes, *notes), split=chosen, splits=parts.sizes), rows


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
    inside: dict[str, set[tuple[str, ...]]] = {name: set() for name in deep}
    for path, name in zip(paths, parts.of, strict=True):
        if name in deep:
            inside[name].add(classes.folders_of(path, parts.level))
    deep -= {name for name, found in inside.items() if len(found) == 1 and splits.is_filler(*found)}  # 'val/images'
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
