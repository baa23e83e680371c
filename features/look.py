"""Tells what an image set holds: its classes, the sizes and formats of its pictures, what is wrong, what is alike."""

import io
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from PIL import Image

from features.datasets import ImageSet, Rejected
from features.datasets.ahead import ahead
from features.datasets.image_set import FileOpener
from features.datasets.images import decode
from features.errors import ImageError
from features.progress import Progress, Task

HASH_SIDE = 8  # a hash has as many bits as this squared
BANDS = 4
NEAR = BANDS - 1  # bits in which the hashes of near-duplicates differ at most: then one band at least is the same


@dataclass(frozen=True, eq=False)
class Look:
    """What the images of a set are.

    n_images: in the set. classes: their names and how many images each has; {} for unlabelled images. formats, modes:
    Pillow's names for what the files are, and how many of each ('JPEG', 'RGB'); {} where images are no files. widths,
    heights: (3,) the smallest, the median and the largest, in pixels. n_frames: files of several frames or pages, of
    which the first is taken. n_bytes: of all files. rejected: what cannot be
    read. alike: groups of ids whose pictures are nearly the same, None if that was not asked for.
    """

    n_images: int
    classes: dict[str, int]
    formats: dict[str, int]
    modes: dict[str, int]
    widths: tuple[int, int, int]
    heights: tuple[int, int, int]
    n_frames: int
    n_bytes: int
    rejected: tuple[Rejected, ...]
    alike: tuple[tuple[str, ...], ...] | None

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            **{name: value for name, value in vars(self).items() if name != "rejected"},
            "rejected": [vars(each) for each in self.rejected],
        }


@dataclass(frozen=True)
class _Seen:
    """One image. kind, mode: of its file, '' for none. frames: how many it has. bits: its hash, 0 if not asked for."""

    size: tuple[int, int]
    kind: str
    mode: str
    frames: int
    n_bytes: int
    bits: int


def look(images: ImageSet, duplicates: bool = False) -> Task[Look]:
    """Read every image of a set, and say what was seen.

    duplicates: also find pictures that are nearly the same: whose difference hashes (8 x 9 pixels in grey, whether each
    is brighter than its right neighbour: 64 bits) differ in at most 3. Each scaled copy, and each saved again, is one.
    """
    seen: dict[int, _Seen] = {}
    rejected = []
    yield Progress(0, len(images), "image")
    for row, result in enumerate(ahead(len(images), lambda row: _seen(images, row, duplicates))):
        if isinstance(result, ImageError):
            rejected.append(Rejected(images.ids[row], str(result)))
        else:
            seen[row] = result
        yield Progress(row + 1, len(images), "image")
    return _summary(images, seen, tuple(rejected), duplicates)


def _seen(images: ImageSet, row: int, hashed: bool) -> _Seen:
    kind = mode = ""
    n_bytes, frames = 0, 1
    if isinstance(images.opener, FileOpener):
        data, name = images.opener.read(row)
        picture, n_bytes = decode(data, name), len(data)
        kind, mode, frames = _file_of(data)
    else:
        picture = images.open(row)
    return _Seen(picture.size, kind, mode, frames, n_bytes, difference_hash(picture) if hashed else 0)


def _file_of(data: bytes) -> tuple[str, str, int]:
    """A file's format and mode as Pillow calls them, and its frames; arrays have no format of Pillow's."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.format or "", image.mode, getattr(image, "n_frames", 1)
    except Exception:  # it was decoded by other means
        return ("NumPy" if data.startswith(b"\x93NUMPY") else "other"), "", 1


def difference_hash(picture: Image.Image) -> int:
    """Whether each of 8 x 8 pixels in grey is brighter than its right neighbour, as 64 bits."""
    small = picture.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    values = np.asarray(small, dtype=np.int16)  # (8, 9)
    bits = values[:, :-1] > values[:, 1:]  # (8, 8)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_duplicates(hashes: Sequence[int]) -> list[list[int]]:
    """Groups of places whose hashes are linked by differences of at most NEAR bits; each group ascending.

    Two such hashes have one of BANDS parts in common, so that only those are compared.
    """
    width = HASH_SIDE * HASH_SIDE // BANDS
    same: dict[int, list[int]] = defaultdict(list)
    for place, bits in enumerate(hashes):
        same[bits].append(place)
    distinct = [*same]
    leader = {bits: bits for bits in distinct}

    def root(bits: int) -> int:
        while leader[bits] != bits:
            leader[bits] = bits = leader[leader[bits]]
        return bits

    for band in range(BANDS):
        buckets: dict[int, list[int]] = defaultdict(list)
        for bits in distinct:
            buckets[bits >> (band * width) & ((1 << width) - 1)].append(bits)
        for bucket in buckets.values():
            for one, other in combinations(bucket, 2):
                if (one ^ other).bit_count() <= NEAR:
                    leader[root(one)] = root(other)
    groups: dict[int, list[int]] = defaultdict(list)
    for bits, places in same.items():
        groups[root(bits)] += places
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def _counts(images: ImageSet) -> list[int]:
    """How many images have each label."""
    if images.label_sets is not None:
        return [int(count) for count in images.label_sets.sum(axis=0)]
    if images.labels is None:
        return []
    return [int(count) for count in np.bincount(images.labels, minlength=len(images.class_names))]


def _summary(images: ImageSet, seen: dict[int, _Seen], rejected: tuple[Rejected, ...], duplicates: bool) -> Look:
    every = list(seen.values())
    sizes = np.array([each.size for each in every] or [(0, 0)])  # (N, 2)
    low, middle, high = np.quantile(sizes, (0, 0.5, 1), axis=0, method="nearest").astype(int)  # (2,) each
    counts = _counts(images)
    alike = None
    if duplicates:
        rows = list(seen)
        groups = near_duplicates([each.bits for each in every])
        alike = tuple(tuple(images.ids[rows[place]] for place in group) for group in groups)
    return Look(
        n_images=len(images),
        classes=dict(zip(images.class_names, counts, strict=False)),
        formats=dict(Counter(each.kind for each in every if each.kind).most_common()),
        modes=dict(Counter(each.mode for each in every if each.mode).most_common()),
        widths=(int(low[0]), int(middle[0]), int(high[0])),
        heights=(int(low[1]), int(middle[1]), int(high[1])),
        n_frames=sum(each.frames > 1 for each in every),
        n_bytes=sum(each.n_bytes for each in every),
        rejected=rejected,
        alike=alike,
    )
