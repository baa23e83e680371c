"""Opens a source of images (sample, folder, zip, list, Parquet, torchvision set) as one lazy, ordered, labelled
ImageSet.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from features import files
from features.datasets import coco_file, folders, parquet, splits, torchvision_sets, zips
from features.datasets.changes import stamp
from features.datasets.image_set import Boxes, Columns, ImageSet, Origin, Rejected
from features.datasets.kinds import looks_like_image
from features.datasets.listing import understood
from features.datasets.lists import opening as lists
from features.datasets.lists import parquet_lists
from features.errors import DatasetError, ImageError
from features.sources import ALL, EXTENSIONS, SAMPLE, TEST, TORCHVISION, VALIDATION, split_of

__all__ = [
    "SAMPLE",
    "SAMPLE_FILE",
    "Boxes",
    "Columns",
    "ImageSet",
    "Origin",
    "Rejected",
    "held_out",
    "need_outside",
    "open_files",
    "open_images",
    "open_uri",
    "reopen",
    "stamp",
]

SAMPLE_FILE = Path(__file__).parents[1] / "bundled" / "fashion-mnist-sample.zip"


def open_images(
    source: str,
    data_root: str | None = None,
    download: bool = False,
    order: Sequence[str] = splits.HELD_OUT,
    columns: Columns = Columns(),  # noqa: B008  # frozen
) -> ImageSet:
    """Open a source of images.

    source: 'sample' (the bundled Fashion-MNIST test images), a folder (flat, or one folder per class), a .zip
        of the same, a Parquet file or folder of them with a column of image bytes, a list of paths (.txt, .csv, .tsv,
        .jsonl, Parquet) with labels, splits and further columns, a COCO .json, a folder of Pascal VOC,
        or 'torchvision:NAME' / 'torchvision:NAME:SPLIT' (CIFAR10:test, FashionMNIST:train, ...).
        All but torchvision's may also be addresses that fsspec knows, such as 's3://bucket/folder'.
        A split is named behind a colon ('photos:test', 'photos:all').
    data_root: where the torchvision set lies. download: let torchvision fetch it if it is not there.
    order: which kind of split is taken where none is named; the set says so in its notes, and its origin names it.
    columns: of a list, where they are not to be guessed.
    Raises DatasetError if there is nothing to open.
    """
    if source.startswith(TORCHVISION):
        images = torchvision_sets.open_torchvision(source, data_root, download)
        return replace(images, origin=Origin(source) if data_root is None else None)
    place, split = split_of(source)
    if place == SAMPLE:
        opened = understood(zips.listing(SAMPLE_FILE), split, order)
        return replace(opened, name="Fashion-MNIST sample", origin=Origin(source))
    path = files.path_of(place)
    with files.reached(path):
        opened = _opened(path, place, split, order, columns)
    taken = opened.split if split is None and opened.split else split
    return replace(opened, origin=Origin(place if taken is None else f"{place}:{taken}", columns=columns))


def reopen(origin: Origin) -> ImageSet:
    """The same images once more, if the source has not changed since. Raises DatasetError as `open_images`."""
    images = open_images(origin.source, columns=origin.columns)
    for limit in origin.limits:
        images = images.sample(limit)
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


def _opened(path: Path, source: str, split: str | None, order: Sequence[str], columns: Columns) -> ImageSet:
    if path.is_dir():
        return _of_folder(path, split, order, columns)
    if path.is_file() and zips.is_zip(path):
        return understood(zips.listing(path), split, order, columns)
    if path.is_file() and path.suffix == parquet.SUFFIX:
        return _of_tables(path, split, order, columns)
    if path.is_file() and lists.is_list(path):
        return coco_file.open_annotations(path, split, order) or lists.open_list(path, split, order, columns)
    what = "is not a folder, a zip, a Parquet file or a list" if path.exists() else "does not exist"
    raise DatasetError(
        f"{source!r} {what}. Give a folder of images, a .zip, Parquet files with a column of image bytes or of paths, "
        f"a list of paths ({', '.join(lists.SUFFIXES)}), 'torchvision:NAME' or '{SAMPLE}' for the bundled images."
    )


def _of_folder(path: Path, split: str | None, order: Sequence[str], columns: Columns) -> ImageSet:
    listing = folders.listing(path)
    if not any(map(looks_like_image, listing.names)) and parquet.table_files(path):
        return _of_tables(path, split, order, columns)
    return understood(listing, split, order, columns)


def _of_tables(path: Path, split: str | None, order: Sequence[str], columns: Columns) -> ImageSet:
    tables = parquet.table_files(path)
    if parquet_lists.is_list(tables):
        return lists.open_tables(path, tables, split, order, columns)
    return parquet.open_tables(path)


def open_files(names: list[str]) -> ImageSet:
    """Images that are named one by one, by path or address, as one set without labels.

    A single name may also be a source, as of `open_images`. Raises DatasetError if one is not there.
    """
    places = [files.path_of(name) for name in names]
    if len(names) == 1 and (names[0] == SAMPLE or places[0].suffix.lower() not in EXTENSIONS):
        return open_images(names[0])
    absent = [name for name, path in zip(names, places, strict=True) if not path.is_file()]
    if absent:
        raise DatasetError(f"There is no file {absent[0]}. Name image files, or one folder, zip or '{SAMPLE}'.")
    if len(set(names)) < len(names):
        raise DatasetError("An image is named more than once. Name each once.")
    return folders.open_named(names, places)


def need_outside(source: str, folder: Path) -> None:
    """Raises DatasetError if a folder for results lies among the images, where it would be read the next time."""
    if source == SAMPLE or source.startswith(TORCHVISION):
        return
    root, out = files.path_of(split_of(source)[0]), folder
    if files.is_local(root) and files.is_local(out) and root.is_dir() and out.resolve().is_relative_to(root.resolve()):
        raise DatasetError(f"{folder} lies inside {source}, whose files are read. Choose a folder outside.")


def open_uri(uri: str) -> Image.Image:
    """The image at a place that an ImageSet named. Raises ImageError if it is not there or belongs to torchvision."""
    kind, _, rest = uri.partition("://")
    inner, _, file = rest.rpartition("::")
    if uri.startswith(TORCHVISION):
        raise ImageError(f"{uri} has no file of its own. Open the set itself.")
    if kind == "zip":
        return zips.open_member(files.path_of(file), inner)
    if kind == "parquet":
        return parquet.open_row(files.path_of(file), int(inner))
    return folders.open_file(files.path_of(uri), uri)
