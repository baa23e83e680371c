"""Opens the images that one of COCO's JSON files names."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from features.datasets import folders, splits
from features.datasets.coco import ENDING, CocoFile, content_of, joined
from features.datasets.image_set import ImageSet
from features.datasets.listing import annotated
from features.errors import DatasetError


def open_annotations(path: Path, split: str | None = None, order: Sequence[str] = splits.HELD_OUT) -> ImageSet | None:
    """The images that a file of COCO's names, found beside it or in the folder above; None if it is no such file.

    Raises DatasetError if none of the images is there.
    """
    if path.suffix.lower() != ENDING:
        return None
    content = content_of(_bytes_of(path), str(path))
    if content is None:
        return None
    for root in (path.resolve().parent, path.resolve().parents[1]):
        listing = folders.listing(root)
        number = listing.names.index(path.resolve().relative_to(root).as_posix())
        file = CocoFile(path.stem, str(PurePosixPath(listing.names[number]).parent).removeprefix("."), "", content)
        opened = annotated(listing, lambda ids, file=file: joined([file], ids, str(path)), split, order)
        if opened is not None:
            return opened
    first = next((str(entry.get("file_name")) for entry in content["images"]), "")
    raise DatasetError(
        f"None of the {len(content['images']):,} images of {path} ({first}, ...) lies in its folder or the one above. "
        "Put the folder of images (images/, val2017/) beside it."
    )


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}. Allow it.") from error
