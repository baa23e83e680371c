"""Images that a text file names."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from features import files
from features.datasets.folders import of_files
from features.datasets.image_set import ImageSet, set_digest, with_labels
from features.errors import DatasetError

SUFFIX = ".txt"


def open_list(path: Path) -> ImageSet:
    """The images whose paths stand in a text file, one a line, from that file's folder on; a label may follow a tab."""
    cells = _cells(path)
    names = [line[0] for line in cells]
    if not names:
        raise DatasetError(f"{path} names no images. Write a path a line into it.")
    opened = of_files(path.stem, _listed(path, names), names)
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise DatasetError(f"{path} names {twice} more than once. Take the repetitions out.")
    labels = [line[1].strip() for line in cells if len(line) > 1]
    if labels and len(labels) < len(cells):
        raise DatasetError(f"{path} has labels on {len(labels)} of {len(cells)} lines. Label all of them, or none.")
    if not labels:
        return opened
    said = set_digest([opened.digest, *labels], ["", *opened.ids])  # other labels are another set
    return replace(with_labels(opened, labels), digest=said)


def listed(path: Path) -> list[Path]:
    """Where the images lie that a text file names."""
    return _listed(path, [line[0] for line in _cells(path)])


def _listed(path: Path, names: list[str]) -> list[Path]:
    root = path.resolve().parent
    return [files.path_of(name) if "://" in name else root / name for name in names]


def _cells(path: Path) -> list[list[str]]:
    """The lines of a list that are not empty, split at tabs."""
    try:
        lines = path.read_bytes().decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}. Allow it.") from error
    return [line.split("\t") for line in lines if line.strip()]
