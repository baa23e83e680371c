"""Turns arrays into pictures: heat maps, overlays, contact sheets and their files."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from features.registry import Registry


@dataclass(frozen=True)
class ColourScale:
    """Colours of a map.

    name: for people and in files. anchors: equally spaced colours 'rrggbb', from the low to the high end. ends: what
    the low and the high end look like, of a scale whose middle is zero; None of one that begins at zero.
    """

    name: str
    anchors: str
    ends: tuple[str, str] | None = None


# Dark to bright: matplotlib's Inferno, Viridis and Cividis (CC0), Google's Turbo (Apache-2.0). From what speaks against
# to what speaks for, with nothing in the middle: ColorBrewer's RdBu turned round (Apache-2.0), and one with a dark
# middle, as the maps above have it for zero.
COLOURS = Registry(
    "colour scale",
    (
        ColourScale("Inferno", "000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4"),
        ColourScale("Viridis", "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725"),
        ColourScale("Cividis", "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838"),
        ColourScale(
            "Turbo",
            "30123b 4145ab 4675ed 39a2fc 1bcfd4 24eca6 61fc6c a4fc3b d1e834 f3c63a fe9b2d f36315 d93806 b11901 7a0402",
        ),
        ColourScale("Gray", "000000 ffffff"),
        ColourScale(
            "Blue, black, orange",
            "a6dcff 56b4e9 1f6f9f 0c3a56 000004 57340c 9f5f10 e69f00 ffd98c",
            ("blue", "orange"),
        ),
        ColourScale(
            "Blue to red",
            "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f",
            ("blue", "red"),
        ),
    ),
)
RECTIFIED = tuple(name for name, scale in COLOURS.items() if scale.ends is None)  # show what is above 0
SIGNED = tuple(name for name, scale in COLOURS.items() if scale.ends is not None)


@cache
def colour_table(name: str) -> np.ndarray:
    """(256, 3) uint8 of a colour scale."""
    anchors = np.array([list(bytes.fromhex(colour)) for colour in COLOURS.need(name).anchors.split()])  # (A, 3)
    places = np.linspace(0, len(anchors) - 1, 256)
    return np.stack([np.rint(np.interp(places, range(len(anchors)), channel)) for channel in anchors.T], 1).astype(
        np.uint8
    )


def colour_bar(name: str, height: int = 12) -> np.ndarray:
    """A colour scale from its low to its high end, (height, 256, 3) uint8."""
    return np.repeat(colour_table(name)[None], height, axis=0)


def limit_of(values: np.ndarray, signed: bool = False) -> float:
    """What a map is scaled by: its greatest value above 0, or if `signed` its greatest distance from 0."""
    _need_finite(values)
    return float(np.abs(values).max(initial=0) if signed else values.max(initial=0))


def scaled(values: np.ndarray, signed: bool = False, limit: float | None = None) -> np.ndarray:
    """A map (H, W) as a share of `limit` (None: its own), cut to [0, 1] or if `signed` to [-1, 1]; 0 if that is 0.

    Zero stays zero, so that 'no evidence' looks the same in every map. NaN and infinity are not hidden:
    they raise ValueError.
    """
    _need_finite(values)
    top = limit_of(values, signed) if limit is None else limit
    kept = np.clip(values, None if signed else 0, None).astype(np.float32)
    return np.clip(kept / top, -1, 1) if top > 0 else np.zeros_like(kept)


def _need_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ValueError("The map holds NaN or infinite values.")


def enlarge(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) drawn bilinearly at (width, height), float32."""
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))


def heat_map(
    values: np.ndarray, size: tuple[int, int], colours: str = "Inferno", limit: float | None = None
) -> np.ndarray:
    """A map (h, w) as colours at (width, height): (H, W, 3) uint8.

    colours: of RECTIFIED, which show what is above 0, or of SIGNED. limit: what the ends of the scale stand for.
    """
    signed = colours in SIGNED
    shares = enlarge(scaled(values, signed, limit), size)  # (H, W)
    shares = (np.clip(shares, -1, 1) + 1) / 2 if signed else np.clip(shares, 0, 1)
    return colour_table(colours)[np.rint(shares * 255).astype(np.uint8)]  # (H, W, 3)


def overlay(picture: np.ndarray, heat: np.ndarray, opacity: float) -> np.ndarray:
    """Blend two (H, W, 3) uint8 pictures linearly: opacity 0 is the picture, 1 the heat map, exactly."""
    mixed = picture.astype(np.float32) * (1 - opacity) + heat.astype(np.float32) * opacity
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)


def magnify(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture (H, W, 3) whose shorter side is at least `side`: small ones by whole pixels, so that each
    stays a square.
    """
    factor = max(1, -(-side // min(picture.shape[:2])))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def contact_sheet(pictures: Sequence[Image.Image], tile: int, columns: int) -> np.ndarray:
    """Pictures cut to centre squares of `tile` pixels, row by row on one sheet: (H, W, 3) uint8."""
    rows = max(1, -(-len(pictures) // columns))
    sheet = Image.new("RGB", (columns * tile, rows * tile))
    for index, picture in enumerate(pictures):
        sheet.paste(square(picture, tile), (index % columns * tile, index // columns * tile))
    return np.asarray(sheet)


def mosaic(tiles: Sequence[np.ndarray], columns: int, gap: int = 0) -> np.ndarray:
    """Tiles (h, w, 3) uint8 of one size, row by row, with white gaps between them: (H, W, 3) uint8."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def square(picture: Image.Image, side: int) -> Image.Image:
    """The centre square of a picture at `side` pixels; tiny pictures are enlarged by whole pixels."""
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    kind = Image.Resampling.NEAREST if edge < side else Image.Resampling.LANCZOS
    return picture.crop((left, top, left + edge, top + edge)).resize((side, side), kind)


def png(picture: np.ndarray) -> bytes:
    """A (H, W, 3) uint8 picture as a PNG file."""
    buffer = io.BytesIO()
    # The first level: a page waits for its heat maps, and the usual one takes four times as long to save a quarter.
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def jpeg(picture: np.ndarray, quality: int = 85) -> bytes:
    """A (H, W, 3) uint8 picture as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def data_uri(file: bytes) -> str:
    """A PNG or JPEG file as a link that holds the picture itself."""
    kind = "png" if file.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
