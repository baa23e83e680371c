"""Opens what lies in a folder: pictures, Parquet files or archives, and what lies beside these."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from features import files
from features.datasets import folders, kinds
from features.datasets.annotated import cub, voc, yolo
from features.datasets.archives import opening as archives
from features.datasets.image_set import ImageSet
from features.datasets.kinds import Aside, looks_like_image
from features.datasets.listing import Choice, Listing
from features.datasets.lists import opening as lists
from features.datasets.lists import parquet_lists
from features.datasets.named_columns import Columns
from features.datasets.tables import hugging_face, parquet
from features.datasets.understanding import understood
from features.errors import DatasetError
from features.sources import ARCHIVES, HUGGING_FACE, LISTS, TABLES

NAMING = "tables of paths beside tables that hold images"


def open_folder(path: Path, listing: Listing, choice: Choice, columns: Columns) -> ImageSet:
    """The images of a folder's files, or of its tables or archives where it has no pictures, or fewer.

    listing: of its files. Raises DatasetError as `datasets.open_images`.
    """
    if files.is_local(path) and hugging_face.is_saved(path):
        saved = f"{HUGGING_FACE}{path.resolve()}"
        return hugging_face.open_hugging_face(saved, replace(choice, where=saved), columns)
    pictures = sum(map(looks_like_image, listing.names))
    tables, packed = (_called(listing, endings) for endings in (TABLES, ARCHIVES))
    naming = [name for name in tables if parquet_lists.is_list([path / name])]
    holding = [name for name in tables if name not in naming]
    if holding and (not (packed or pictures) or parquet.rows_of_images(path, holding) > pictures):
        opened = _of_tables(path, listing, holding, choice, columns)
        return replace(opened, aside=(*opened.aside, *([Aside(NAMING, tuple(naming))] if naming else [])))
    if naming and not packed and not pictures:
        return _of_tables(path, listing, naming, choice, columns)
    if packed and not pictures:
        return _of_archives(path, listing, packed, choice, columns)
    opened = understood(listing, choice.split, choice.order, columns)
    if naming and opened.table is None and sum(parquet_lists.sizes([path / name for name in naming])) > pictures:
        return _of_tables(path, listing, naming, choice, columns)  # of images that lie elsewhere
    return opened


def _of_tables(path: Path, listing: Listing, tables: Sequence[str], choice: Choice, columns: Columns) -> ImageSet:
    named = sorted((path.resolve() / name for name in tables), key=str)
    return _with_rest(open_tables(path, named, choice, columns), listing, TABLES)


def open_tables(path: Path, tables: list[Path], choice: Choice, columns: Columns) -> ImageSet:
    """Images in a column of Parquet files, or named in one. path: the file, or the folder that they lie in."""
    if parquet_lists.is_list(tables):
        return lists.open_tables(path, tables, choice.split, choice.order, columns)
    return parquet.open_files(path.resolve(), tables, choice, columns)


def open_list(path: Path, choice: Choice, columns: Columns) -> ImageSet:
    """The images that a list names: files, or members of the archives that lie beside it."""
    if cub.is_index(path):
        return open_folder(path.parent, folders.listing(path.parent), choice, columns)
    packed = archives.beside(path)
    if packed and not lists.names_files(path, columns):
        root = path.parent.resolve()
        inside = _without_lists(archives.of_files(path.stem, str(path), root, packed))
        whole = _joined(path, [inside, folders.of_paths(str(path), root, [path.name])])
        if (opened := _labelled_by(whole, choice, columns)) is not None:
            return opened
    return lists.open_list(path, choice.split, choice.order, columns)


def open_part(archive: Path, inner: str, choice: Choice, columns: Columns) -> ImageSet:
    """A part of an archive: what lies in one of its folders, or the images that one of its lists names.

    inner: the folder or the list, by its path inside. Raises DatasetError if there is none.
    """
    whole = archives.listing(archive)
    where = f"{archive}/{inner}"
    if inner.lower().endswith(ARCHIVES) and not any(name.startswith(f"{inner}/") for name in whole.names):
        inner = inner[: -len(PurePosixPath(inner).name)] + archives.stem(PurePosixPath(inner).name)  # its folder's name
    if inner in whole.names:
        kept = [n for n, name in enumerate(whole.names) if name == inner or not name.lower().endswith(LISTS)]
        opened = _labelled_by(replace(whole.part(kept), where=where), choice, columns)
        if opened is None:
            raise DatasetError(f"{where} names no images of {archive}. Name the archive itself, or another list in it.")
        return opened
    kept = [n for n, name in enumerate(whole.names) if name.startswith(f"{inner}/")]
    if not kept:
        raise DatasetError(f"{archive} has no {inner}. Name the archive itself, a folder or a list in it.")
    return understood(replace(whole.part(kept), where=where), choice.split, choice.order, columns)


def _labelled_by(listing: Listing, choice: Choice, columns: Columns) -> ImageSet | None:
    """The images that a listing's one list names; None if it names none."""
    if not any(map(looks_like_image, listing.names)):
        return None
    opened = understood(listing, choice.split, choice.order, columns)
    return opened if opened.table is not None else None


def _of_archives(path: Path, listing: Listing, packed: list[str], choice: Choice, columns: Columns) -> ImageSet:
    """The images in a folder's archives, with the tables and annotations that lie beside these."""
    inside = archives.of_files(path.name, str(path), path.resolve(), packed)
    telling = {
        name
        for name in listing.names
        if name.lower().endswith((*LISTS, *TABLES, voc.ENDING, *yolo.SETTINGS, *yolo.NAMES))
    }
    loose = folders.of_paths(str(path), path.resolve(), sorted(telling))
    rest = replace(listing, names=[name for name in listing.names if name not in telling])
    opened = understood(_joined(path, [inside, loose]), choice.split, choice.order, columns)
    return _with_rest(opened, rest, ARCHIVES)


def _joined(path: Path, parts: list[Listing]) -> Listing:
    return archives.concatenated(path.name, str(path), parts)


def _without_lists(listing: Listing) -> Listing:
    return listing.part([n for n, name in enumerate(listing.names) if not name.lower().endswith(LISTS)])


def _called(listing: Listing, endings: tuple[str, ...]) -> list[str]:
    return [name for name in listing.names if name.lower().endswith(endings) and not kinds.is_hidden(name)]


def _with_rest(images: ImageSet, listing: Listing, endings: tuple[str, ...]) -> ImageSet:
    """A set with what was left aside in the folder of its files. endings: of these files."""
    names = [name for name in listing.names if not name.lower().endswith(endings)]
    pictures, aside = kinds.sorted_out(names, None)
    if pictures:
        aside = [Aside(f"pictures beside {endings[0]} files", tuple(names[number] for number in pictures)), *aside]
    return replace(images, aside=(*images.aside, *listing.aside, *aside))
