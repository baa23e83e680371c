"""The pictures of a report: small ones, as many as there is room for."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import zip_longest

import numpy as np
from PIL import Image

from features import rasters
from features.errors import FeatureError
from features.progress import Progress, Task
from viz.reports.document import Document, Gallery, Picture

SIDE = 96  # pixels of a picture; smaller images keep their own, and the page enlarges them
FEW = 48  # up to so many every pixel is seen and is kept as it is
QUALITY = 82
AT_ONCE, THREADS = 64, 4
GREY = (128, 128, 128)


def illustrated(document: Document, room: int) -> Task[Document]:
    """The document with the pictures of its galleries: the first of each gallery, then the second, and so on, as many
    as fit into `room` bytes of the file."""
    wanted = list(wanted_by(document))
    pictures: dict[str, str] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(wanted), AT_ONCE):
            yield Progress(start, len(wanted), "picture")
            some = wanted[start : start + AT_ONCE]
            for picture, address in zip(some, pool.map(_address, some), strict=True):
                room -= len(picture.key) + len(address) + 8  # as the file's JSON holds it
                if room < 0:
                    return replace(document, pictures=pictures)
                pictures[picture.key] = address
    return replace(document, pictures=pictures)


def wanted_by(document: Document) -> Iterator[Picture]:
    """Every picture once, the first of all galleries before the second of any."""
    galleries = [part for part in document.parts() if isinstance(part, Gallery)]
    known = set()
    for wave in zip_longest(*(gallery.tiles for gallery in galleries)):
        for picture in (picture for tile in wave if tile is not None for picture in tile.pictures):
            if picture.key not in known:
                known.add(picture.key)
                yield picture


def _address(picture: Picture) -> str:
    """The picture as a link that holds it; a grey one for an image that cannot be read any more."""
    try:
        opened = picture.make()
    except FeatureError:
        opened = Image.new("RGB", (1, 1), GREY)
    edge = min(*opened.size, SIDE)
    pixels = np.asarray(rasters.square(opened.convert("RGB"), edge))
    return rasters.data_uri(rasters.jpeg(pixels, QUALITY) if edge > FEW else rasters.png(pixels))
