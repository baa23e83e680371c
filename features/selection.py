"""Chosen images of a set: combined, described by a key, and kept under it for links and other processes."""

import hashlib
import io
import json
import re
import threading
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from features import files
from features.errors import DatasetError

KEY = re.compile(r"[0-9a-f]{24}")
_NAMING = threading.Lock()  # two visitors' names are written one after the other


@dataclass(frozen=True, eq=False)
class Selection:
    """Some images of a set of N.

    images: the set's digest, whatever was corrected of its labels (`ImageSet.pictures_digest`). rows: (R,) int64, their
    numbers in it, ascending and each once. n_images: N.
    """

    images: str
    rows: np.ndarray
    n_images: int

    @staticmethod
    def of(images: str, chosen: np.ndarray) -> "Selection":
        """Of a mask (N,) bool over a set with the digest `images`."""
        return Selection(images, np.flatnonzero(chosen), len(chosen))

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def key(self) -> str:
        """What tells this selection of this set from all others: 24 hexadecimal digits."""
        told = hashlib.sha256(f"{self.images} {self.n_images} ".encode())
        told.update(self.rows.astype("<i8").tobytes())
        return told.hexdigest()[:24]

    @property
    def mask(self) -> np.ndarray:
        """(N,) bool, whether an image is chosen."""
        mask = np.zeros(self.n_images, bool)
        mask[self.rows] = True
        return mask

    def __and__(self, other: "Selection") -> "Selection":
        """The images of both."""
        return self._with(self.mask & self._same(other).mask)

    def __or__(self, other: "Selection") -> "Selection":
        """The images of either."""
        return self._with(self.mask | self._same(other).mask)

    def __sub__(self, other: "Selection") -> "Selection":
        """The images of this one without the other's."""
        return self._with(self.mask & ~self._same(other).mask)

    def rest(self) -> "Selection":
        """All other images of the set."""
        return self._with(~self.mask)

    def _with(self, mask: np.ndarray) -> "Selection":
        return Selection(self.images, np.flatnonzero(mask), self.n_images)

    def _same(self, other: "Selection") -> "Selection":
        if (other.images, other.n_images) != (self.images, self.n_images):
            raise DatasetError(
                "These selections are of two image sets, which have no images in common. Choose both on one set."
            )
        return other


def keep(selection: Selection) -> str:
    """Keep a selection in the cache folder; returns its key. One that cannot be kept goes with the process."""
    path = _path(selection.key)
    if not path.exists():
        buffer = io.BytesIO()
        np.savez_compressed(buffer, images=np.array(selection.images), rows=selection.rows, n_images=selection.n_images)
        files.keep(path, buffer.getvalue())
    return selection.key


def kept(key: str) -> Selection:
    """The selection of a key. Raises DatasetError if it is none, is not kept here, or its file is damaged."""
    if not KEY.fullmatch(key):
        raise DatasetError(f"{key[:40]!r} is no key of a selection. Wanted 24 hexadecimal digits, as in a link.")
    try:
        with _path(key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            selection = Selection(str(arrays["images"]), arrays["rows"].astype(np.int64), int(arrays["n_images"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"The selection {key} is not kept on this machine. Choose the images again, or open the list of them that "
            "was exported."
        ) from error
    if selection.key != key:
        raise DatasetError(f"The file of the selection {key} holds another one. Choose the images again.")
    return selection


def name(selection: Selection, called: str) -> None:
    """Keep a selection and what it is called, in place of what was called so among those of its images."""
    key = keep(selection)
    with _NAMING:
        files.keep(_names(selection.images), json.dumps({**_named_keys(selection.images), called: key}).encode())


def forget(images: str, called: str) -> None:
    """Take a name away; the selection itself stays under its key."""
    with _NAMING:
        names = _named_keys(images)
        names.pop(called, None)
        files.keep(_names(images), json.dumps(names).encode())


def named(images: str) -> dict[str, Selection]:
    """The selections of a set, by its digest, that were given names on this machine, in that order."""
    selections = {}
    for called, key in _named_keys(images).items():
        with suppress(DatasetError):  # gone from the cache folder
            selections[called] = kept(key)
    return selections


def _named_keys(images: str) -> dict[str, str]:
    try:
        content = json.loads(_names(images).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _names(images: str) -> Path:
    return files.cache_folder("selections") / f"{hashlib.sha256(images.encode()).hexdigest()[:24]}.json"


def _path(key: str) -> Path:
    return files.cache_folder("selections") / f"{key}.npz"
