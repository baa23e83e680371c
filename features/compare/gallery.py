"""Single images with what two networks say of them and where they look, as pictures side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features import rasters
from features.compare.grids import Box, common, sampled
from features.compare.looks import SIDE
from features.compare.overlap import iou, rank_correlation, ranked
from features.compare.sights import Framed, Settings, Sight, Viewer, seen
from features.datasets import ImageSet, Rejected
from features.networks.zoo import Model
from features.progress import Task
from features.saliency import Tap, limit_of

UNSEEN = 0.35  # of the picture's light where a network does not see it
LEAST = 160  # pixels of the shorter side of what is drawn


@dataclass(frozen=True, eq=False)
class SideBySide:
    """One image and what two networks make of it.

    row, id, label: of the set; label None where it is not known. picture: (H, W, 3) uint8, as small as was wanted.
    size: width and height that it has in the set, in whose pixels the boxes are. sights: of each network. correlation,
    iou: as of `Looks`.
    """

    row: int
    id: str
    label: str | None
    picture: np.ndarray
    size: tuple[int, int]
    sights: tuple[Sight, Sight]
    correlation: float
    iou: float


@dataclass(frozen=True, eq=False)
class Gallery:
    """Images side by side. tap: what the maps are of. rejected: images that could not be read."""

    pairs: tuple[SideBySide, ...]
    tap: Tap
    settings: Settings
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Drawing:
    """How maps are drawn over pictures. colours: of rasters.COLOURS. opacity: of the heat map, in [0, 1]. one_scale:
    whether both maps of an image share a scale; else each is scaled to its own extreme.
    """

    colours: str = rasters.RECTIFIED[0]
    opacity: float = 0.5
    one_scale: bool = True


def gallery(
    first: Model,
    second: Model,
    images: ImageSet,
    rows: Sequence[int],
    settings: Settings | None = None,
    side: int = 224,
) -> Task[Gallery]:
    """All of some images of a set, in their order: choose few. side: of the pictures' longer side in pixels, at most.

    Raises FeatureError and DatasetError as `looks`.
    """
    few, settings = images.take(rows), settings or Settings()
    viewers = Viewer(first, few, settings), Viewer(second, few, settings)
    if not len(few):
        return Gallery((), viewers[0].tap, settings, ())
    told = yield from seen(few, viewers, side)
    pairs = [
        _pair(few, int(rows[image.row]), image, (one, other))
        for image, one, other in zip(told.images, *told.sights, strict=True)
    ]
    return Gallery(tuple(pairs), viewers[0].tap, settings, told.rejected)


def _pair(few: ImageSet, row: int, image: Framed, sights: tuple[Sight, Sight]) -> SideBySide:
    """row: in the whole set; that of the image is one of the few."""
    assert image.small is not None  # a side was given
    region = common((sights[0].box, sights[1].box), image.size)
    one, other = (ranked(sampled(each.values, each.box, region, SIDE)) for each in sights)
    return SideBySide(
        row, few.ids[image.row], few.label_name(image.row), image.small, image.size, sights,
        rank_correlation(one, other), iou(one, other),
    )  # fmt: skip


def drawn(pair: SideBySide, tap: Tap, drawing: Drawing) -> tuple[np.ndarray, np.ndarray]:
    """The picture under each network's heat map, (H, W, 3) uint8 each; what a network does not see is darker.

    tap: of the gallery. Small pictures are enlarged by whole pixels.
    """
    signed = drawing.colours in rasters.SIGNED
    limits = [limit_of(tap, sight.values, signed) for sight in pair.sights]
    if drawing.one_scale:
        limits = [max(limits)] * 2
    large = rasters.magnify(pair.picture, LEAST)
    one, other = (
        _over(large, sight, pair.size, drawing, limit) for sight, limit in zip(pair.sights, limits, strict=True)
    )
    return one, other


def _over(picture: np.ndarray, sight: Sight, size: tuple[int, int], drawing: Drawing, limit: float) -> np.ndarray:
    """A heat map over the part of a picture (H, W, 3) of `size` in the set that it is of."""
    across, down = picture.shape[1] / size[0], picture.shape[0] / size[1]
    box = Box(sight.box.left * across, sight.box.top * down, sight.box.right * across, sight.box.bottom * down)
    left, top, right, bottom = (round(edge) for edge in box)
    heat = rasters.heat_map(sight.values, (max(1, right - left), max(1, bottom - top)), drawing.colours, limit)
    inside = slice(max(0, top), min(bottom, picture.shape[0])), slice(max(0, left), min(right, picture.shape[1]))
    heat = heat[inside[0].start - top : inside[0].stop - top, inside[1].start - left : inside[1].stop - left]
    shown = np.rint(picture * UNSEEN).astype(np.uint8)
    shown[inside] = rasters.overlay(picture[inside], heat, drawing.opacity)
    return shown
