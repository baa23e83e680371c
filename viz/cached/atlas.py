"""Small pictures of a set in a file of the cache folder: each is decoded once, whoever asks for it and whenever.

The file has room for all, and holes where none has been asked for yet, so that it grows by what is looked at.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import numpy as np

from features import files, rasters
from features.datasets import ImageSet
from features.errors import ImageError
from features.progress import Progress, Task

SIDE = 48
BYTES = SIDE * SIDE * 3
AT_ONCE, THREADS = 64, 4
MOST_BYTES = 8 << 30  # of all sets' files
MADE = b"\1"


def tiles(images: ImageSet, rows: Sequence[int]) -> Task[np.ndarray]:
    """Square pictures (K, SIDE, SIDE, 3) uint8 of some rows; a grey one for an image that cannot be read."""
    made = np.empty((len(rows), SIDE, SIDE, 3), np.uint8)
    with closing(_File(images)) as file, ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(rows), AT_ONCE):
            yield Progress(start, len(rows), "picture")
            numbers = rows[start : start + AT_ONCE]
            kept = [file.read(row) for row in numbers]
            missing = [row for row, tile in zip(numbers, kept, strict=True) if tile is None]
            opened = pool.map(lambda row: _opened(images, row), missing)
            for place, tile in enumerate(_filled(file, numbers, kept, opened), start):
                made[place] = tile
    return made


def _filled(
    file: "_File", rows: Sequence[int], kept: Sequence[np.ndarray | None], opened: Iterator[np.ndarray | None]
) -> Iterator[np.ndarray]:
    for row, tile in zip(rows, kept, strict=True):
        if tile is not None:
            yield tile
        elif (new := next(opened)) is not None:
            file.write(row, new)
            yield new
        else:  # not kept: it may be there again
            yield np.full((SIDE, SIDE, 3), 128, np.uint8)


def _opened(images: ImageSet, row: int) -> np.ndarray | None:
    try:
        return np.asarray(rasters.square(images.open(int(row)), SIDE))
    except ImageError:
        return None


class _File:
    """A byte a picture that says whether it is there, then the pictures. Without a place for it nothing is kept.

    Written by calls and not as mapped memory: a disk that is full is an error there, and the end of the server here.
    """

    def __init__(self, images: ImageSet) -> None:
        self.n_images, self.number = len(images), -1
        folder = files.cache_folder("thumbnails")
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            files.make_room(folder, MOST_BYTES)
            path = folder / f"{images.digest[:40]}-{SIDE}"
            self.number = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            os.utime(path)  # those that were used last are kept

    def read(self, row: int) -> np.ndarray | None:
        """The picture of a row (SIDE, SIDE, 3), None if it is not there."""
        with suppress(OSError):
            if self.number >= 0 and self._at(row, 1) == MADE:
                data = self._at(self.n_images + row * BYTES, BYTES)
                if len(data) == BYTES:
                    return np.frombuffer(data, np.uint8).reshape(SIDE, SIDE, 3)
        return None

    def write(self, row: int, tile: np.ndarray) -> None:
        """Keep a picture; it is no matter if that cannot be done."""
        with suppress(OSError):
            if self.number >= 0:
                self._put(self.n_images + row * BYTES, tile.tobytes())
                self._put(row, MADE)

    def close(self) -> None:
        if self.number >= 0:
            os.close(self.number)

    def _at(self, start: int, size: int) -> bytes:
        os.lseek(self.number, start, os.SEEK_SET)
        return os.read(self.number, size)

    def _put(self, start: int, data: bytes) -> None:
        os.lseek(self.number, start, os.SEEK_SET)
        while data:
            data = data[os.write(self.number, data) :]
