"""What lies beside images and says what they show: tables of labels, COCO's JSON, Pascal VOC's XML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from unicodedata import normalize

import numpy as np

from features.datasets.image_set import Boxes
from features.datasets.labelling import Labelling
from features.datasets.named_columns import TableColumns


@dataclass(frozen=True, eq=False)
class Annotations:
    """What is said of R of a source's images.

    rows: (R,) their numbers among the images, ascending. labelling: (R,) their labels, None where none are told.
    splits: (R,) the split of each, None where nothing tells, or for an image of none. columns: name -> (R,) values.
    boxes: where in these R images the labels are. where: the file or folder that says it. notes: in sentences.
    files: that say it, as the source calls them. table: their columns, where they are tables.
    """

    rows: Sequence[int]
    labelling: Labelling | None
    where: str
    splits: Sequence[str | None] | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    boxes: Boxes | None = None
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    table: TableColumns | None = None


def _folded(name: str) -> str:
    return name.lower() if name.isascii() else normalize("NFC", name).lower()


class Names:
    """Finds images by how they are called: by their path from a folder on, else by their name alone."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._whole = {name.rsplit(".", 1)[0]: row for row, name in enumerate(ids)}  # without their endings
        self._whole |= {name: row for row, name in enumerate(ids)}
        self._parts: dict[str, list[int]] = {}
        self._stems: dict[str, list[int]] = {}
        for row, name in enumerate(ids):
            last = name.rsplit("/", 1)[-1]
            self._parts.setdefault(last, []).append(row)
            self._stems.setdefault(last.rsplit(".", 1)[0], []).append(row)
        self._ids = ids
        self._folded: Names | None = None  # the same in small letters, made when it is needed

    def row(self, path: str, *folders: str) -> int | None:
        """The image that a path names from one of some folders on, else wherever it lies; None for none or many.

        folders: '' or 'annotations'. A path may lack the image's ending, and be in other case, as Windows takes it,
        or have its accents written in the other way, as macOS does.
        """
        row = self._row(path, *folders)
        return self._in_small_letters()._row(_folded(path), *map(_folded, folders)) if row is None else row

    def folders_in(self, folder: str) -> list[str]:
        """The folders that lie in one ('' for the source itself) and hold images, by their paths."""
        first = f"{folder}/" if folder else ""
        below = {
            name[len(first) :].split("/")[0]
            for name in self._ids
            if name.startswith(first) and "/" in name[len(first) :]
        }
        return [first + name for name in sorted(below)]

    def _in_small_letters(self) -> "Names":
        """The same names; none where two of them differ in nothing but case."""
        if self._folded is None:
            small = [_folded(name) for name in self._ids]
            self._folded = Names(small if len({*small}) == len(small) else [])
        return self._folded

    def _row(self, path: str, *folders: str) -> int | None:
        folder = folders[0]
        for name in (*(f"{each}/{path}" if each else path for each in folders), path):
            if name in self._whole:
                return self._whole[name]
        parts = path.split("/")
        for number in range(1, len(parts) - 1):  # from another machine's folders on
            if (name := "/".join(parts[number:])) in self._whole:
                return self._whole[name]
        last = PurePosixPath(path).name
        rows = self._parts.get(last) or self._stems.get(last) or []
        if len(rows) > 1:  # the same name in several folders: what else is told of the path, and nearness, decide
            inner = f"/{path}"
            rows = [row for row in rows if self._ends(row, inner)] or rows
        if len(rows) > 1 and folder:
            rows = [row for row in rows if self._ids[row].startswith(f"{folder}/")]
        return rows[0] if len(rows) == 1 else None

    def _ends(self, row: int, inner: str) -> bool:
        name = f"/{self._ids[row]}"
        return name.endswith(inner) or name.rsplit(".", 1)[0].endswith(inner)
