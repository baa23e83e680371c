"""Opens a source of images (sample, folder, archives, list, Parquet, torchvision set) as one lazy, ordered, labelled
ImageSet.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from features import files
from features.datasets import (
    archives,
    coco_file,
    counting,
    folders,
    hugging_face,
    kinds,
    parquet,
    patterns,
    splits,
    torchvision_sets,
    voc,
)
from features.datasets.changes import stamp
from features.datasets.image_set import Boxes, Columns, ImageSet, Origin, Rejected
from features.datasets.images import decode
from features.datasets.kinds import Aside, looks_like_image
from features.datasets.listing import Choice, Listing, understood
from features.datasets.lists import opening as lists
from features.datasets.lists import parquet_lists
from features.errors import DatasetError, ImageError
from features.progress import Task
from features.selection import kept
from features.sources import (
    ALL,
    ARCHIVES,
    EXTENSIONS,
    HUGGING_FACE,
    LISTS,
    SAMPLE,
    TABLES,
    TEST,
    TORCHVISION,
    VALIDATION,
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
    "held_out",
    "need_outside",
    "open_files",
    "open_images",
    "open_uri",
    "opening",
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

    source: 'sample' (the bundled Fashion-MNIST test images), a folder (flat, or one folder per class), a zip or tar
        of the same or of such archives, a WebDataset's shards, a folder of archives, a Parquet file or folder of them
        with a column of images, a list of paths (.txt, .csv, .tsv, .jsonl, Parquet) with labels, splits and further
        columns, a COCO .json, a folder of Pascal VOC, a pattern that names several of these
        ('data/test-*.parquet', 'shards/{000..999}.tar'), 'hf:NAME' (what Hugging Face's library has in its cache, or a
        folder that it saved), or 'torchvision:NAME' / 'torchvision:NAME:SPLIT' (CIFAR10:test, ...).
        All but torchvision's may also be addresses that fsspec knows, such as 's3://bucket/folder'.
        A split is named behind a colon ('photos:test', 'photos:all').
    data_root: where the torchvision set lies. download: let torchvision fetch it if it is not there.
    order: which kind of split is taken where none is named; the set says so in its notes, and its origin names it.
    columns: of a list, where they are not to be guessed.
    Raises DatasetError if there is nothing to open.
    """
    if columns != Columns() and (source == SAMPLE or source.startswith((TORCHVISION, HUGGING_FACE))):
        raise DatasetError(f"{source} has no list of columns. Leave --path-column and --label-column away.")
    if source.startswith(TORCHVISION):
        images = torchvision_sets.open_torchvision(source, data_root, download)
        return replace(images, origin=Origin(source) if data_root is None else None)
    place, split = split_of(source)
    if place.startswith(HUGGING_FACE):
        opened = hugging_face.open_hugging_face(place, split, download, order)
        return replace(opened, origin=Origin(_named(place, split, opened)))
    if place == SAMPLE:
        opened = understood(archives.listing(SAMPLE_FILE), split, order)
        return replace(opened, name="Fashion-MNIST sample", origin=Origin(source))
    if is_pattern(place):
        opened = _of_pattern(place, split, order, columns)
    else:
        path = files.path_of(place)
        with files.reached(path):
            opened = _opened(path, place, split, order, columns)
    return replace(opened, origin=Origin(_named(place, split, opened), columns=columns))


def opening(
    source: str,
    data_root: str | None = None,
    download: bool = False,
    order: Sequence[str] = splits.HELD_OUT,
    columns: Columns = Columns(),  # noqa: B008  # frozen
) -> Task[ImageSet]:
    """As `open_images`, as a task that tells how many files were listed, and can be cancelled."""
    return counting.told(lambda: open_images(source, data_root, download, order, columns))


def _named(place: str, split: str | None, opened: ImageSet) -> str:
    """The source with the split that was taken, so that the same is opened again whatever is preferred then."""
    taken = split or opened.split
    return f"{place}:{taken}" if taken else place


def reopen(origin: Origin) -> ImageSet:
    """The same images once more, if the source has not changed since. Raises DatasetError as `open_images`."""
    images = open_images(origin.source, columns=origin.columns)
    for limit in origin.limits:
        images = images.sample(limit) if isinstance(limit, int) else images.select(kept(limit))
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
    if path.is_file() and parquet.is_table(path):
        return _of_tables(path, parquet.table_files(path), Choice(split, order, source), columns)
    if path.is_file() and lists.is_list(path):
        return coco_file.open_annotations(path, split, order) or lists.open_list(path, split, order, columns)
    if path.is_file() and archives.is_archive(path):
        return understood(archives.listing(path), split, order, columns)
    what = "is not a folder, a zip, a tar, a Parquet file or a list" if path.exists() else "does not exist"
    raise DatasetError(
        f"{source!r} {what}. Give a folder of images, a zip or tar, Parquet files with a column of images or of paths, "
        f"a list of paths ({', '.join(lists.SUFFIXES)}), a pattern such as 'data/*.parquet', 'torchvision:NAME' or "
        f"'{SAMPLE}' for the bundled images."
    )


def _of_folder(path: Path, split: str | None, order: Sequence[str], columns: Columns) -> ImageSet:
    """The images of a folder's files, or of its tables or archives where it has no pictures, or fewer."""
    if files.is_local(path) and hugging_face.is_saved(path):
        return hugging_face.open_hugging_face(f"{HUGGING_FACE}{path.resolve()}", split, False, order)
    listing = folders.listing(path)
    pictures = sum(map(looks_like_image, listing.names))
    tables, packed = (_called(listing, endings) for endings in (TABLES, ARCHIVES))
    alone = bool(tables) and not pictures and not packed
    if alone or (tables and parquet.rows_of_images(path, tables) > pictures):
        opened = _of_tables(path, parquet.table_files(path), Choice(split, order, str(path)), columns)
        return _beside(opened, listing, TABLES)
    if packed and not pictures:
        return _of_archives(path, listing, packed, split, order, columns)
    return understood(listing, split, order, columns)


def _of_tables(path: Path, tables: list[Path], choice: Choice, columns: Columns) -> ImageSet:
    """Images in a column of Parquet files, or named in one. path: the file, or the folder that they lie in."""
    if parquet_lists.is_list(tables):
        return lists.open_tables(path, tables, choice.split, choice.order, columns)
    return parquet.open_files(path.resolve(), tables, choice, columns)


def _of_archives(
    path: Path, listing: Listing, packed: list[str], split: str | None, order: Sequence[str], columns: Columns
) -> ImageSet:
    """The images in a folder's archives, with the tables and annotations that lie beside these."""
    inside = archives.of_files(path.name, str(path), path.resolve(), packed)
    telling = {name for name in listing.names if name.lower().endswith((*LISTS, voc.ENDING))}
    loose = folders.of_paths(str(path), path.resolve(), sorted(telling))
    whole = archives.concatenated(path.name, str(path), [inside, loose])
    rest = replace(listing, names=[name for name in listing.names if name not in telling])
    return _beside(understood(whole, split, order, columns), rest, ARCHIVES)


def _called(listing: Listing, endings: tuple[str, ...]) -> list[str]:
    return [name for name in listing.names if name.lower().endswith(endings) and not kinds.is_hidden(name)]


def _beside(images: ImageSet, listing: Listing, endings: tuple[str, ...]) -> ImageSet:
    """A set with what was left aside in the folder of its files. endings: of these files."""
    names = [name for name in listing.names if not name.lower().endswith(endings)]
    pictures, aside = kinds.sorted_out(names, None)
    if pictures:
        aside = [Aside(f"pictures beside {endings[0]} files", tuple(names[number] for number in pictures)), *aside]
    return replace(images, aside=(*images.aside, *listing.aside, *aside))


def _of_pattern(pattern: str, split: str | None, order: Sequence[str], columns: Columns) -> ImageSet:
    root, named, outside = patterns.paths(pattern)
    with files.reached(root):
        if tables := patterns.tables(named):
            return _of_tables(root, tables, Choice(split, order, pattern), columns)
        return understood(patterns.listing(pattern, root, named, outside), split, order, columns)


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
    kind, _, rest = uri.partition("://")
    inner, _, file = rest.rpartition("::")
    if uri.startswith((TORCHVISION, HUGGING_FACE)):
        raise ImageError(f"{uri} has no file of its own. Open the set itself.")
    if kind in archives.READERS:
        return decode(*archives.read_uri(kind, inner, files.path_of(file)))
    if kind == "parquet":
        return parquet.open_row(files.path_of(file), int(inner))
    return folders.open_file(files.path_of(uri), uri)
