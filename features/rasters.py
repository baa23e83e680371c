"""Turns arrays into pictures: heat maps, overlays, contact sheets and their files."""

import base64
import io
from collections.abc import Sequence
from functools import cache

import numpy as np
import plotly.colors
from PIL import Image


@cache
def colour_table(name: str) -> np.ndarray:
    """(256, 3) uint8 of a Plotly colour scale, dark to bright as it comes."""
    samples = plotly.colors.sample_colorscale(name, np.linspace(0, 1, 256).tolist(), colortype="tuple")
    return np.rint(np.array(samples) * 255).astype(np.uint8)


def scaled(values: np.ndarray) -> np.ndarray:
    """The positive part of a map (H, W) as a share of its maximum: float32 in [0, 1], all 0 if nothing is
    positive.

    Zero stays zero, so that 'no evidence' looks the same in every map. NaN and infinity are not hidden:
    they raise ValueError.
    """
    if not np.isfinite(values).all():
        raise ValueError("The map holds NaN or infinite values.")
    positive = np.clip(values, 0, None).astype(np.float32)
    top = positive.max(initial=0)
    return positive / top if top > 0 else positive


def enlarge(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) drawn bilinearly at (width, height), float32."""
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))


def heat_map(values: np.ndarray, size: tuple[int, int], colours: str) -> np.ndarray:
    """A map (h, w) as colours at (width, height): (H, W, 3) uint8."""
    indices = np.rint(np.clip(enlarge(scaled(values), size), 0, 1) * 255).astype(np.uint8)  # (H, W)
    return colour_table(colours)[indices]  # (H, W, 3)


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
