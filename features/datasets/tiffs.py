"""TIFFs whose numbers Pillow does not read, or takes for others: signed, long, real, inverted, or plane after plane."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from features.errors import ImageError

ORIENTATION, BITS, FORMAT = 274, 258, 339  # numbers of tags
READ = ("bool", "uint8", "uint16", "int16", "int32", "float32")  # greys of these Pillow reads, if zero is black
ALPHA = {0: "RGB", 1: "RGBa", 2: "RGBA"}  # by what a TIFF says of its fourth plane


@dataclass(frozen=True, eq=False)
class Numbers:
    """What a TIFF of one plane, of three or of four holds.

    values: (H, W, C). mode: what they are, as Pillow calls it: 'L' of at most 8 bits, 'I' whole, 'F' real. colours: the
    mode of the picture: 'L', 'RGB', 'RGBA', 'RGBa' or 'CMYK'. white_is_zero: whether small numbers are bright.
    orientation: as in EXIF.
    """

    values: np.ndarray
    mode: str
    colours: str
    white_is_zero: bool
    orientation: int


def is_plain(image: Image.Image) -> bool:
    """Whether a TIFF that Pillow has opened has unsigned numbers of at most 8 bits, which it reads as they are."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    return max(tags.get(BITS, (1,))) <= 8 and set(tags.get(FORMAT, (1,))) == {1}


def read(data: bytes, name: str, check_sides: Callable[[int, int, str], None]) -> Numbers | None:
    """What a TIFF holds on its first page; None where Pillow reads the same, or where no picture is in it.

    check_sides: raises for a width and a height of more than is read. Raises ImageError for complex numbers, and for
    what cannot be unpacked here.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages.first
            colours = _colours(page)
            if colours is None or not _is_misread(page):
                return None
            check_sides(page.imagewidth, page.imagelength, name)
            values = _values(page, data, name)
            tag = page.tags.get(ORIENTATION)
            mode = "F" if values.dtype.kind == "f" else "L" if values.dtype.itemsize == 1 else "I"
            return Numbers(values, mode, colours, page.photometric.name == "MINISWHITE", int(tag.value) if tag else 1)
    except ImageError:
        raise
    except Exception:  # it raises many kinds for what it does not know; whoever reads pictures says what is wrong
        return None


def _colours(page: Any) -> str | None:
    """A page's colours as Pillow's mode; None for others and for numbers of no type."""
    if page.dtype is None or page.bitspersample != 8 * page.dtype.itemsize or page.imagedepth != 1:
        return None
    kind = (page.photometric.name, page.samplesperpixel)
    if kind == ("RGB", 4):
        return ALPHA.get(int(page.extrasamples[0]) if page.extrasamples else 0)
    colours = {"MINISBLACK": "L", "MINISWHITE": "L", "RGB": "RGB", "SEPARATED": "CMYK"}.get(kind[0])
    return colours if colours is not None and kind[1] == {"L": 1, "RGB": 3, "CMYK": 4}[colours] else None


def _is_misread(page: Any) -> bool:
    if page.dtype.name in ("bool", "uint8"):
        return False
    if page.samplesperpixel == 1:
        return page.dtype.name not in READ or page.photometric.name == "MINISWHITE"
    if page.dtype.name == "uint16":  # of packed planes it reads the right ones
        return page.planarconfig.name == "SEPARATE" and page.compression.name == "NONE"
    return not (page.samplesperpixel == 3 and page.dtype.kind == "f")  # which `planes` reads


def _values(page: Any, data: bytes, name: str) -> np.ndarray:
    """(H, W, C)"""
    if page.dtype.kind == "c":
        raise ImageError(f"{name} holds values of type {page.dtype}. Wanted whole or floating-point numbers.")
    try:
        values = page.asarray()
    except (ValueError, KeyError, ImportError) as error:  # a codec that is not there
        if page.samplesperpixel > 1 or (values := _unpacked(data, page.dtype)) is None:
            raise ImageError(
                f"{name} holds {page.dtype} numbers, which are not read from a TIFF packed by "
                f"{page.compression.name}. Save it without compression, or as 8 or 16 bits."
            ) from error
    values = values.reshape(page.shape)
    if values.ndim == 2:
        return values[:, :, None]
    return values.transpose(1, 2, 0) if page.planarconfig.name == "SEPARATE" else values


def _unpacked(data: bytes, kind: np.dtype) -> np.ndarray | None:
    """A grey picture's numbers by Pillow, which takes them for others of as many bits; None if it cannot."""
    try:
        with Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
            values = np.asarray(image)
    except Exception:  # Pillow's decoders raise many kinds
        return None
    return values.view(kind.newbyteorder("=")) if values.dtype.itemsize == kind.itemsize else None
