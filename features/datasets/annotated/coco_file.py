"""Opens the images that one of COCO's JSON files names."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from features import files
from features.datasets import folders, splits
from features.datasets.annotated.annotations import Annotations
from features.datasets.annotated.coco import ENDING, CocoFile, content_of, joined, split_of
from features.datasets.image_set import ImageSet
from features.datasets.understanding import annotated
from features.errors import DatasetError

OF_ANNOTATIONS = r"annot|label|json|meta|instances"  # what folders of such files are called, beside those of images


def open_annotations(path: Path, split: str | None = None, order: Sequence[str] = splits.HELD_OUT) -> ImageSet | None:
    """The images that a file of COCO's names, found beside it or in the folder above; None if it is no such file.

    Raises DatasetError if none of the images is there.
    """
    if path.suffix.lower() != ENDING:
        return None
    content = content_of(_bytes_of(path), str(path))
    if content is None:
        return None
    for root in _roots(path.resolve().parent):
        folder = path.resolve().parent.relative_to(root).as_posix()
        file = CocoFile(path.name, "" if folder == "." else folder, split_of(PurePosixPath(path.name)), content)
        opened = annotated(folders.listing(root), partial(_joined, file, str(path)), split, order)
        if opened is not None:
            return opened
    first = next((str(entry.get("file_name")) for entry in content["images"]), "")
    raise DatasetError(
        f"None of the {len(content['images']):,} images of {path} ({first}, ...) lies in its folder, or in that above "
        "annotations/. Put the folder of images (images/, val2017/) beside it."
    )


def _joined(file: CocoFile, where: str, ids: Sequence[str]) -> Annotations | None:
    return joined([file], ids, where)


def _roots(folder: Path) -> list[Path]:
    """Where images of a file are looked for: in its folder, and above a folder of annotations."""
    above = folder.parent
    if re.search(OF_ANNOTATIONS, folder.name, re.I) and (not files.is_local(above) or files.may_be_read(str(above))):
        return [folder, above]
    return [folder]


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}. Allow it.") from error
