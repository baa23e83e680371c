"""Opens a source of images (sample, folder, archives, list, Parquet, torchvision set) as one lazy, ordered, labelled
ImageSet.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from features import files
from features.datasets import corrections, counting, folder_contents, folders, patterns, splits, torchvision_sets
from features.datasets.annotated import coco_file
from features.datasets.archives import opening as archives
from features.datasets.changes import Snapshot, snapshot, stamp
from features.datasets.image_set import CORRECTED, Boxes, ImageSet, Origin, Rejected
from features.datasets.images import decode
from features.datasets.listing import Choice, Listing
from features.datasets.lists import opening as lists
from features.datasets.named_columns import Columns, TableColumns
from features.datasets.tables import hugging_face, parquet
from features.datasets.understanding import understood
from features.errors import DatasetError, ImageError
from features.progress import Task
from features.selection import kept
from features.sources import (
    ALL,
    EXTENSIONS,
    HUGGING_FACE,
    SAMPLE,
    TABLES,
    TEST,
    TORCHVISION,
    VALIDATION,
    in_archive,
    is_pattern,
    split_of,
)

__all__ = [
    "SAMPLE",
    "SAMPLE_FILE",
    "Boxes",
    "Columns",
    "ImageSet",
    "Origin",
    "Rejected",
    "Snapshot",
    "TableColumns",
    "file_of",
    "held_out",
    "need_outside",
    "open_files",
    "open_images",
    "open_uri",
    "opening",
    "reopen",
    "snapshot",
    "stamp",
]

ROW = "parquet"  # what the place of an image in a table begins with
SAMPLE_FILE = Path(__file__).parents[1] / "bundled" / "fashion-mnist-sample.zip"


def open_images(
    source: str,
    data_root: str | None = None,
    download: bool = False,
    order: Sequence[str] = splits.HELD_OUT,
    columns: Columns = Columns(),  # noqa: B008  # frozen
    listing: Listing | None = None,
) -> ImageSet:
    """Open a source of images.

    source: 'sample' (the bundled Fashion-MNIST test images), a folder (flat, or one folder per class), a zip or tar
        of the same or of such archives, a WebDataset's shards, a folder of archives, a Parquet file or folder of them
        with a column of images, a list of paths (.txt, .csv, .tsv, .jsonl, Parquet) with labels, splits and further
        columns, a COCO .json, a folder of Pascal VOC or YOLO, a pattern that names several of these
        ('data/test-*.parquet', 'shards/{000..999}.tar'), 'hf:NAME' (what Hugging Face's library has in its cache, or a
        folder that it saved), or 'torchvision:NAME' / 'torchvision:NAME:SPLIT' (CIFAR10:test, ...).
        All but torchvision's may also be addresses that fsspec knows, such as 's3://bucket/folder'.
        A split is named behind a colon ('photos:test', 'photos:all').
    data_root: where the torchvision set lies. download: let torchvision fetch it if it is not there.
    order: which kind of split is taken where none is named; the set says so in its notes, and its origin names it.
    columns: of a list, where they are not to be guessed. listing: what lies in a folder, if somebody has just listed it
    (`Snapshot`).
    Raises DatasetError if there is nothing to open.
    """
    if columns != Columns() and (source == SAMPLE or source.startswith(TORCHVISION)):
        raise DatasetError(f"{source} has no list of columns. Leave --path-column and --label-column away.")
    if source.startswith(TORCHVISION):
        images = torchvision_sets.open_torchvision(source, data_root, download)
        return replace(images, origin=Origin(source) if data_root is None else None)
    place, split = split_of(source)
    if place.startswith(HUGGING_FACE):
        opened = hugging_face.open_hugging_face(place, Choice(split, order, place), columns, download)
        return replace(opened, origin=Origin(_named(place, split, opened), columns=columns))
    if place == SAMPLE:
        opened = understood(archives.listing(SAMPLE_FILE), split, order)
        return replace(opened, name="Fashion-MNIST sample", origin=Origin(source))
    opened = _opened(place, Choice(split, order, place), columns, listing)
    if columns != Columns() and opened.table is None:
        raise DatasetError(f"{source} has no list with such columns. Leave --path-column and --label-column away.")
    return replace(opened, origin=Origin(_named(place, split, opened), columns=columns))


def opening(
    source: str,
    data_root: str | None = None,
    download: bool = False,
    order: Sequence[str] = splits.HELD_OUT,
    columns: Columns = Columns(),  # noqa: B008  # frozen
    listing: Listing | None = None,
) -> Task[ImageSet]:
    """As `open_images`, as a task that tells how many files were listed, and can be cancelled."""
    return counting.told(lambda: open_images(source, data_root, download, order, columns, listing))


def _named(place: str, split: str | None, opened: ImageSet) -> str:
    """The source with the split that was taken, so that the same is opened again whatever is preferred then."""
    taken = split or opened.split
    return f"{place}:{taken}" if taken else place


def reopen(origin: Origin) -> ImageSet:
    """The same images once more, if the source has not changed since. Raises DatasetError as `open_images`."""
    images = open_images(origin.source, columns=origin.columns)
    for limit in origin.limits:
        if isinstance(limit, int):
            images = images.sample(limit)
        elif limit.startswith(CORRECTED):
            images = corrections.corrected(images, corrections.kept(limit.removeprefix(CORRECTED)))
        else:
            images = images.select(kept(limit))
    return images


def held_out(images: ImageSet) -> str:
    """The source of the images on which a network is tested that a set has taught: another split of where it is from.

    Raises DatasetError if that has none.
    """
    place, split = split_of(images.origin.source) if images.origin is not None else (images.name, None)
    others = [name for name in images.splits if name != split and splits.kind_of(name) in (TEST, VALIDATION)]
    if split in (None, ALL) or not others:
        raise DatasetError(f"Held-out images are needed to test what {place} taught. Name them with --test SOURCE.")
    return f"{place}:{min(others, key=lambda name: splits.HELD_OUT.index(splits.kind_of(name) or TEST))}"


def _opened(source: str, choice: Choice, columns: Columns, listing: Listing | None) -> ImageSet:
    """What lies at a path or an address. source: without a split; listing: as of `open_images`."""
    if is_pattern(source):
        return _of_pattern(source, choice, columns)
    path = files.path_of(source)
    with files.reached(path):
        if path.is_dir():
            return folder_contents.open_folder(path, listing or folders.listing(path), choice, columns)
        if path.is_file() and parquet.is_table(path):
            return folder_contents.open_tables(path, parquet.table_files(path), choice, columns)
        if path.is_file() and lists.is_list(path):
            annotated = coco_file.open_annotations(path, choice.split, choice.order)
            return annotated or folder_contents.open_list(path, choice, columns)
        if path.is_file() and archives.is_archive(path):
            return understood(archives.listing(path), choice.split, choice.order, columns)
        if (packed := in_archive(path)) is not None:
            return folder_contents.open_part(*packed, choice, columns)
        what = "is not a folder, a zip, a tar, a Parquet file or a list" if path.exists() else "does not exist"
    raise DatasetError(
        f"{source!r} {what}. Give a folder of images, a zip or tar, Parquet files with a column of images or of paths, "
        f"a list of paths ({', '.join(lists.SUFFIXES)}), a pattern such as 'data/*.parquet', 'torchvision:NAME' or "
        f"'{SAMPLE}' for the bundled images."
    )


def _of_pattern(pattern: str, choice: Choice, columns: Columns) -> ImageSet:
    named = patterns.named(pattern)
    with files.reached(named.root):
        tables = named.paths(TABLES)
        if tables and len(tables) == len(named.files) and not named.folders:
            return folder_contents.open_tables(named.root, tables, choice, columns)
        return understood(patterns.listing(pattern, named), choice.split, choice.order, columns)


def open_files(names: list[str]) -> ImageSet:
    """Images that are named one by one, by path or address, as one set without labels.

    A single name may also be a source, as of `open_images`. Raises DatasetError if one is not there.
    """
    places = [files.path_of(name) for name in names]
    if len(names) == 1 and (names[0] == SAMPLE or is_pattern(names[0]) or not names[0].lower().endswith(EXTENSIONS)):
        return open_images(names[0])
    absent = [name for name, path in zip(names, places, strict=True) if not path.is_file()]
    if absent:
        raise DatasetError(f"There is no file {absent[0]}. Name image files, or one folder, archive or '{SAMPLE}'.")
    if len(set(names)) < len(names):
        raise DatasetError("An image is named more than once. Name each once.")
    return folders.open_named(names, places)


def need_outside(source: str, folder: Path) -> None:
    """Raises DatasetError if a folder for results lies among the images, where it would be read the next time."""
    if source == SAMPLE or source.startswith((TORCHVISION, HUGGING_FACE)):
        return
    place, out = split_of(source)[0], folder
    root = files.path_of(place)
    local = files.is_local(root) and files.is_local(out)
    inside = local and root.is_dir() and out.resolve().is_relative_to(root.resolve())
    if patterns.reaches(place, out) if is_pattern(place) else inside:
        raise DatasetError(f"{folder} lies inside {source}, whose files are read. Choose a folder outside.")


def open_uri(uri: str) -> Image.Image:
    """The image at a place that an ImageSet named. Raises ImageError if it is not there or belongs to a set
    without files.
    """
    kind, inner, file = _parts_of(uri)
    if uri.startswith((TORCHVISION, HUGGING_FACE)):
        raise ImageError(f"{uri} has no file of its own. Open the set itself.")
    if kind in archives.READERS:
        return decode(*archives.read_uri(kind, inner, files.path_of(file)))
    if kind == ROW:
        if not inner.isdecimal():
            raise ImageError(f"{uri} names no row of a table. Wanted a number, as in {ROW}://7::{file}.")
        return parquet.open_row(files.path_of(file), int(inner))
    return folders.open_file(files.path_of(uri), uri)


def file_of(uri: str) -> str:
    """The file that `open_uri` opens for an image at a place: its own, or the archive or table that it lies in."""
    return _parts_of(uri)[2]


def _parts_of(uri: str) -> tuple[str, str, str]:
    """What an image lies in ('' for a file of its own), where in that, and the file or its address."""
    kind, _, rest = uri.partition("://")
    inner, _, file = rest.rpartition("::")
    return (kind, inner, file) if kind == ROW or kind in archives.READERS else ("", "", uri)
