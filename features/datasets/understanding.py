"""Makes a set of the files of a source: which are images, of which class and split."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from features.datasets import kinds, splits
from features.datasets.annotated import beside, coco, cub, file_names, voc, yolo
from features.datasets.annotated.annotations import Annotations
from features.datasets.annotated.putting import put, with_columns
from features.datasets.class_folders import has_classes, of_folders
from features.datasets.image_set import ImageSet, spelled
from features.datasets.kinds import Aside
from features.datasets.listing import Choice, Listing, images_among
from features.datasets.named_columns import FILE_NAME, Columns, telling
from features.datasets.values import labels_of


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
    images, numbers = images_among(listing)
    paths = images.ids if listing.paths is None else [spelled(listing.paths[number]) for number in numbers]
    told = None if listing.labels is None else labels_of([listing.labels[number] for number in numbers])
    choice = Choice(split, order, listing.where)

    failed: list[str] = []

    def of_tables(files: Listing, ids: Sequence[str]) -> Annotations | None:
        return beside.of_tables(files, ids, columns, failed, lambda: has_classes(paths))

    def of_voc(files: Listing, ids: Sequence[str]) -> Annotations | None:
        return voc.of_listing(files, ids, lambda: has_classes(paths))

    def of_yolo(files: Listing, ids: Sequence[str]) -> Annotations | None:
        return yolo.of_listing(files, ids, failed, lambda: has_classes(paths))

    def of_names(files: Listing, ids: Sequence[str]) -> Annotations | None:
        return file_names.of_names(ids, files.where) if columns.label == FILE_NAME else None

    guessed = (coco.of_listing, cub.of_listing, of_voc, of_yolo, of_tables)
    ways = guessed if columns == Columns() else (of_names, of_tables)
    said = None if told else next((each for way in ways if (each := way(listing, images.ids)) is not None), None)
    images = replace(images, notes=(*images.notes, *failed), table=None if said is None else said.table)
    if said is None:
        return file_names.offered(of_folders(images, paths, told, choice), images.ids)
    images = replace(images, aside=_without(images.aside, {*map(spelled, said.files)}))
    if said.labelling is None and said.splits is None:
        return with_columns(of_folders(images, paths, told, choice), images.ids, said)
    with telling(said.table.names if said.table is not None else ()):
        return put(images, paths, said, choice)


def _without(aside: Sequence[Aside], used: set[str]) -> tuple[Aside, ...]:
    """What is left aside but for files that say something of the images."""
    left = [Aside(each.reason, tuple(name for name in each.names if name not in used)) for each in aside]
    return tuple(each for each in left if each.names)


def annotated(
    listing: Listing,
    annotate: Callable[[Sequence[str]], Annotations | None],
    split: str | None = None,
    order: Sequence[str] = splits.HELD_OUT,
) -> ImageSet | None:
    """The images among some files of which something is said; None if that is none. annotate: ids -> what is said."""
    if not any(map(kinds.looks_like_image, listing.names)):
        return None
    images, _ = images_among(listing)
    said = annotate(images.ids)
    if said is None:
        return None
    # No other image is of interest here, nor what else lies there.
    images = replace(images.take(said.rows), aside=())
    said = replace(said, rows=range(len(images)))
    return put(images, images.ids, said, Choice(split, order, said.where))
