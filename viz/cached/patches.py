"""Small pictures of images with what positions of a layer's maps see of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from features import channels, rasters
from features.channels import Field
from features.channels.patches import patch_of, whole_pixels
from features.datasets import ImageSet
from features.errors import ImageError
from features.networks import zoo
from features.progress import Progress, Task
from viz.jobs import PREVIEW, Work

HEIGHT = 232  # px of pictures and crops, twice what they have on the screen
WIDEST = 2  # width to height of what is shown of a picture, or height to width
MOST = 0.7  # of what is shown, above which a crop shows nothing that the picture does not
LEAST = 1 / 3  # of the field, below which a crop shows mostly what lies beyond the picture
SHEET_COLUMNS, LARGE, SMALL, MANY = 32, 96, 64, 600  # tiles of sheets, in px; of more than MANY channels small ones
GREY = Image.new("RGB", (8, 8), (128, 128, 128))

Shares = tuple[float, float, float, float]


@dataclass(frozen=True)
class PatchPicture:
    """An image and what a position sees of it.

    picture, crop: data links; crop is '' where it would show nearly all of the picture, or little of the
    field. ratio: of the picture's width
    to its height. box: of the receptive field inside the picture, seen: of the square that the network is given: left,
    top, right and bottom as shares of the picture. clipped: the sides, of these four, at which the field goes on
    beyond. part: the box as shares of the whole field. centre: of the field, as shares of the picture.
    """

    picture: str
    ratio: float
    box: Shares
    seen: Shares
    clipped: tuple[int, ...]
    crop: str
    part: Shares
    centre: tuple[float, float]


def patches_work(model: zoo.Model, images: ImageSet, layer: str, rows: Sequence[int], positions: np.ndarray) -> Work:
    """A PatchPicture for each of some rows of a set, None for an image that is gone. positions: (R, 2), in the map."""
    key = _digest(rows, positions)
    return Work(
        f"patches {model.key} {images.digest} {layer} {key}",
        lambda: _patches(model, images, layer, rows, positions),
        PREVIEW,
    )


def patch_sheet_work(
    model: zoo.Model, images: ImageSet, layer: str, rows: Sequence[int], positions: np.ndarray
) -> Work:
    """The patches alone as squares on one sheet of SHEET_COLUMNS, a JPEG's bytes; each image is opened once."""
    key = _digest(rows, positions)
    return Work(
        f"patch sheet {model.key} {images.digest} {layer} {key}",
        lambda: _sheet(model, images, layer, rows, positions),
        PREVIEW,
    )


def _digest(rows: Sequence[int], positions: np.ndarray) -> str:
    told = hashlib.blake2b(np.asarray(rows, np.int64).tobytes(), digest_size=12)
    told.update(np.asarray(positions, np.int64).tobytes())
    return told.hexdigest()


def _patches(
    model: zoo.Model, images: ImageSet, layer: str, rows: Sequence[int], positions: np.ndarray
) -> Task[tuple[PatchPicture | None, ...]]:
    field = channels.fields(model)[layer]
    made: list[PatchPicture | None] = []
    for row, (y, x) in zip(rows, positions.tolist(), strict=True):
        yield Progress(len(made), len(rows), "picture")
        try:
            made.append(patch_picture(model, field, images.open(row), (y, x)))
        except ImageError:
            made.append(None)
    return tuple(made)


def patch_picture(model: zoo.Model, field: Field, picture: Image.Image, position: tuple[int, int]) -> PatchPicture:
    """One image with the box of a position. Of a very wide or tall one what the network is given is shown."""
    patch = patch_of(model, field, position, picture.size)
    seen = model.spec.preprocessing.box(picture.size)
    frame = (0, 0, *picture.size)
    if not 1 / WIDEST <= picture.width / picture.height <= WIDEST:
        frame = whole_pixels(seen, picture)
        picture = picture.crop(frame)
    box, whole = _shares(patch.box, frame), _shares(patch.whole, frame)
    part = _shares(patch.box, patch.whole)
    crop = None
    if _area(box) < MOST and _area(part) > LEAST:
        crop = picture.crop(whole_pixels(tuple(edge - frame[at % 2] for at, edge in enumerate(patch.box)), picture))
    return PatchPicture(
        picture=_link(picture),
        ratio=picture.width / picture.height,
        box=box,
        seen=_shares(seen, frame),
        clipped=tuple(side for side in range(4) if abs(patch.whole[side] - patch.box[side]) > 1e-6),
        crop=_link(crop) if crop else "",
        part=part,
        centre=((whole[0] + whole[2]) / 2, (whole[1] + whole[3]) / 2),
    )


def _shares(box: Sequence[float], frame: Sequence[float]) -> Shares:
    """A box in pixels of a picture as shares of another."""
    left, top, right, bottom = (
        (edge - frame[at % 2]) / (frame[2 + at % 2] - frame[at % 2]) for at, edge in enumerate(box)
    )
    return left, top, right, bottom


def _area(box: Shares) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _link(picture: Image.Image) -> str:
    """A picture HEIGHT pixels high, of small ones each pixel as a square."""
    if picture.height > HEIGHT:
        picture = picture.resize((max(1, picture.width * HEIGHT // picture.height), HEIGHT), Image.Resampling.LANCZOS)
    pixels = rasters.magnify(np.asarray(picture.convert("RGB")), HEIGHT // 2)
    return rasters.data_uri(rasters.jpeg(pixels, 88))


def _sheet(model: zoo.Model, images: ImageSet, layer: str, rows: Sequence[int], positions: np.ndarray) -> Task[bytes]:
    field = channels.fields(model)[layer]
    tile = SMALL if len(rows) > MANY else LARGE
    squares = [GREY] * len(rows)
    order = np.argsort(rows, kind="stable").tolist()
    row, picture = -1, GREY
    for done, at in enumerate(order):
        if rows[at] != row:
            yield Progress(done, len(rows), "patch")
            row = rows[at]
            try:
                picture = images.open(row).convert("RGB")
            except ImageError:
                picture = GREY
        if picture is not GREY:
            y, x = positions[at].tolist()
            box = patch_of(model, field, (y, x), picture.size).box
            squares[at] = rasters.square(picture.crop(whole_pixels(box, picture)), tile)
    return rasters.jpeg(rasters.contact_sheet(squares, tile, SHEET_COLUMNS))
