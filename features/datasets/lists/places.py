"""Where the files lie that a list names."""

import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from features import files
from features.datasets.folders import mark
from features.datasets.lists.table import plain
from features.errors import DatasetError, FeatureError

MISSING = "unreadable"  # as `folders.mark` has it
HERE = "file://"
FOLDERS = (
    *("images", "image", "imgs", "img", "data", "JPEGImages", "train", "train_images", "test", "test_images"),
    *("val", "val_images", "valid", "Images"),
)
ENDINGS = (".jpg", ".png", ".jpeg", ".JPEG", ".JPG", ".tif", ".webp")
MOST_FOLDERS = 20  # that are looked into whatever they are called
TRIED = 20  # cells by which a folder or an ending is found that a list leaves away
TOGETHER = 16  # addresses that are asked for at a time


@dataclass(frozen=True)
class Place:
    """A file that a list names. path: a path or an address. mark: what changes when the file does."""

    path: str
    mark: str
    is_folder: bool = False

    @property
    def file(self) -> Path:
        """Raises FeatureError if no library for this kind of address is there."""
        return Path(self.path) if self.is_here else files.path_of(self.path)

    @property
    def is_here(self) -> bool:
        return "://" not in self.path


@dataclass(frozen=True)
class Spelling:
    """What a list leaves away of its paths: the folder that they lie in, and their ending.

    above: how many folders of the paths are those of another machine. called: these.
    """

    folder: str = ""
    ending: str = ""
    above: int = 0
    called: str = ""

    def __str__(self) -> str:
        parts = [f"in {self.folder}/" if self.folder else "", f"with {self.ending} behind" if self.ending else ""]
        parts += [f"below {self.called}, which is taken for its own folder"] if self.called else []
        return " ".join(part for part in parts if part)


@dataclass
class Places:
    """Finds files by the cells of a list.

    folder: what relative paths begin in. name: of the list, after which a folder of its images may be called.
    """

    folder: str
    name: str
    spelling: Spelling = field(default_factory=Spelling)

    def there(self, cell: str) -> bool:
        """Whether a cell names a file on this machine."""
        place = self.of(cell)
        return place.is_here and place.mark != MISSING and not place.is_folder

    def learn(self, cells: Sequence[str]) -> None:
        """Find out what the cells leave away, where none of the first ones is there as it stands."""
        some = [cell for cell in cells[:TRIED] if "://" not in cell]
        if "://" in self.folder or not some or any(self.of(cell).mark != MISSING for cell in some):
            return
        known = ("", *FOLDERS, self.name, f"{self.name}_images", f"../{self.name}", "../images")
        least = dict.fromkeys(known, 1)
        for name in self._beside():  # of a folder that is called anyhow, one file may only be called so
            least.setdefault(name, (len(some) + 1) // 2)
        for folder in least:
            for ending in ("", *ENDINGS):
                self.spelling = Spelling(folder, ending)
                if sum(map(self.there, some)) >= least[folder]:
                    return
        if not self._learn_root([plain(cell) for cell in some]):
            self.spelling = Spelling()

    def _learn_root(self, some: Sequence[str]) -> bool:
        """Find out which folder of another machine was the list's own, of which most files are there."""
        parts = [cell.split("/") for cell in some]
        for above in range(1, min(map(len, parts))):
            roots = {"/".join(each[:above]) for each in parts}
            if len(roots) > 1:
                return False
            self.spelling = Spelling(above=above, called=f"{roots.pop()}/")
            if 2 * sum(map(self.there, some)) >= len(some):
                return True
        return False

    def _beside(self) -> list[str]:
        """Some of the folders that lie beside the list, whatever they are called."""
        try:
            with os.scandir(self.folder) as entries:
                names = (entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
                return sorted(islice(names, MOST_FOLDERS))
        except OSError:
            return []

    def of(self, cell: str) -> Place:
        """The file that a cell names: as it stands, else without blanks around it and with slashes for backslashes."""
        if "://" in cell or "://" in self.folder:
            return self._at_address(cell)
        first = _looked_at(self._path(cell))
        if first.mark != MISSING:
            return first
        bare = plain(cell)
        if bare == cell and cell.isascii():
            return first
        spellings = {bare, normalize("NFC", bare), normalize("NFD", bare)} - {cell}
        others = [_looked_at(self._path(spelling)) for spelling in sorted(spellings, key=bare.__ne__)]
        return next((other for other in others if other.mark != MISSING), others[0] if others else first)

    def _at_address(self, cell: str) -> Place:
        if cell.lower().startswith(HERE):
            return _looked_at(unquote(urlsplit(cell.strip()).path))
        return Place(cell.strip() if "://" in cell else f"{self.folder}/{plain(cell)}", "")

    def _path(self, cell: str) -> str:
        name = cell + self.spelling.ending
        if self.spelling.above:
            return os.path.join(self.folder, *plain(cell).split("/")[self.spelling.above :])  # noqa: PTH118
        if cell.startswith("/"):
            return name
        if cell.startswith("~"):
            with suppress(ValueError):  # a NUL in it
                return os.path.expanduser(name)  # noqa: PTH111
        return os.path.join(self.folder, self.spelling.folder, name)  # noqa: PTH118


def _looked_at(path: str) -> Place:
    try:
        status = os.stat(path)  # noqa: PTH116  # a `Path` for each of a million files takes a minute
    except (OSError, ValueError):  # one that is not there; too long a name, a NUL
        return Place(path, MISSING)
    return Place(path, f"{status.st_size} {status.st_mtime_ns}", stat.S_ISDIR(status.st_mode))


def marked(places: Sequence[Place]) -> list[str]:
    """What changes when each file does. Addresses are asked for, but those of the web, where it would take too long.

    Raises FeatureError if no library for a kind of address is there.
    """
    asked = [row for row, place in enumerate(places) if not place.is_here and not place.path.startswith("http")]
    marks = [place.mark for place in places]
    kinds = {place.path.partition("://")[0]: place.path for place in places if not place.is_here}
    for example in kinds.values():
        try:
            files.path_of(example)
        except FeatureError:
            raise
        except Exception as error:  # what a library raises that is not whole
            raise DatasetError(f"{example} cannot be used: {error}. Mend the library for such addresses.") from error
    with ThreadPoolExecutor(TOGETHER) as pool:
        for row, its_mark in zip(asked, pool.map(_mark_at, [places[row].path for row in asked]), strict=True):
            marks[row] = its_mark
    return marks


def _mark_at(address: str) -> str:
    path = files.path_of(address)
    with files.reached(path):
        return mark(path)


def allowed(folder: str) -> Callable[[str], bool]:
    """Tells of paths and addresses whether they may be read: all, or where folders are restricted those in them.

    folder: the list's own, which may be read. Where folders are restricted no address lies in them.
    """
    if not files.roots():
        return lambda path: True
    may = files.allowed(folder)
    return lambda path: "://" not in path and may(path)


def need_files(places: Sequence[Place], cells: Sequence[str], where: str) -> None:
    """Raises DatasetError if a list names a folder."""
    folders = [cell for place, cell in zip(places, cells, strict=True) if place.is_folder]
    if folders:
        raise DatasetError(
            f"{where} names a folder: {folders[0]}. Name the files in it, or give the folder itself as the source."
        )
