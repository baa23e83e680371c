"""Turns the bytes of an image file into an upright RGB picture, safely."""

import io

import numpy as np
from PIL import ExifTags, Image, ImageOps

from features.datasets import planes, tiffs
from features.errors import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM")
TARGA = ".tga"  # has no first bytes of its own: anything may be taken for one
MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 50_000_000
MAX_ASPECT = 100
OVERSHOOT = 0.1  # of the range of real numbers: what resampling goes beyond it


def decode(data: bytes, name: str) -> Image.Image:
    """The picture in an image file, upright (EXIF) and in RGB; an animation's first frame.

    data: the file's bytes. name: what to call it in an error.
    Arrays (.npy) and TIFFs of more bands are pictures of three planes that carry all of them (`planes`).
    Transparency is laid on white; 16-bit greys are scaled to 8 bits; palettes, greys and CMYK are converted.
    Raises ImageError for empty, truncated, oversized, very narrow and non-image files, naming the file and
    the reason.
    """
    if not data:
        raise ImageError(f"{name} is empty (0 bytes). Export or copy the image again.")
    need_size(len(data), name)
    if planes.is_array(data):
        return _of_planes(planes.read_array(data, name), name)
    bands = planes.read_tiff(data, name) if data.startswith(planes.TIFF) else None
    try:
        formats = (*FORMATS, "TGA") if name.lower().endswith(TARGA) else FORMATS
        image = Image.open(io.BytesIO(data), formats=formats)
        check_sides(*image.size, name)
        if image.format == "TIFF" and not tiffs.is_plain(image) and (own := _of_tiff(data, name, bands)) is not None:
            return own
        image.load()
        picture = upright_rgb(image, name)
        return picture if bands is None else planes.carried(picture, bands, name)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's own limit lies above ours, so that it only speaks of images which would be refused anyway.
        raise ImageError(
            f"{name} has more than {MAX_PIXELS // 10**6} megapixels, the most that are read. Scale it down first."
        ) from error
    except Image.UnidentifiedImageError:
        if bands is not None:  # more than a picture has
            return _of_planes(bands, name)
        if data.startswith(planes.TIFF) and (own := _of_tiff(data, name, None)) is not None:
            return own
        raise ImageError(
            f"{name} is not an image that can be read here (wanted {', '.join(FORMATS)}). Convert it to JPEG or PNG."
        ) from None
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        raise ImageError(f"{name} is damaged: {error}. Export or copy the image again.") from error


def _of_planes(values: np.ndarray, name: str) -> Image.Image:
    height, width, _ = values.shape
    check_sides(width, height, name)
    scaled = planes.scaled(values, name)
    if scaled.shape[2] in (1, 3):
        return planes.plain_picture(scaled, name).convert("RGB")
    return planes.picture_of(scaled)


def _of_tiff(data: bytes, name: str, bands: np.ndarray | None) -> Image.Image | None:
    """The upright picture of a TIFF that Pillow does not read as it is, or of its bands; None for others."""
    numbers = tiffs.read(data, name, check_sides)
    if numbers is None:
        return None
    if bands is not None:
        return _of_planes(bands, name)
    pixels = _shares(numbers.values.astype(np.float64), numbers.mode, name)  # (H, W, C)
    pixels = 255 - pixels if numbers.white_is_zero else pixels
    height, width = pixels.shape[:2]
    keep = pixels[:, :, :3] if numbers.colours == "RGB" else pixels  # a fourth plane that says nothing of itself
    image = Image.frombytes(numbers.colours, (width, height), np.ascontiguousarray(keep).tobytes())
    image = image.convert("RGBA") if numbers.colours == "RGBa" else image
    image.getexif()[ExifTags.Base.Orientation] = numbers.orientation
    return upright_rgb(image, name)


def need_size(n_bytes: int, name: str) -> None:
    """Raises ImageError if a file is too large to be read."""
    if n_bytes > MAX_BYTES:
        raise ImageError(
            f"{name} has {n_bytes / 2**20:.0f} MiB, but at most {MAX_BYTES // 2**20} MiB are read. Make it smaller."
        )


def check_sides(width: int, height: int, name: str) -> None:
    """Raises ImageError for pictures that are too large or too narrow to be read."""
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} has {width} x {height} pixels, but at most {MAX_PIXELS // 10**6} megapixels are read. "
            "Scale it down first."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        # Scaling the shorter side to a network's input would blow such a strip up to gigabytes.
        raise ImageError(
            f"{name} has {width} x {height} pixels, but one side may be at most {MAX_ASPECT} times the other. Crop it."
        )


def upright_rgb(image: Image.Image, name: str = "The image") -> Image.Image:
    """A decoded picture turned as its EXIF orientation says, in RGB.

    Raises ImageError for numbers of which nobody knows the range.
    """
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # it would copy all others
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = _to_8_bit(image, name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    return Image.fromarray(_shares(np.asarray(image, dtype=np.float64), image.mode, name))


def _shares(values: np.ndarray, mode: str, name: str) -> np.ndarray:
    """Numbers of a mode as uint8, white as 255."""
    values = np.nan_to_num(values)
    return np.clip(np.rint(values * (255 / white(mode, values, name))), 0, 255).astype(np.uint8)


def white(mode: str, values: np.ndarray, name: str) -> float:
    """The number that is taken for white in a picture of more than 8 bits.

    mode: Pillow's. Whole numbers have 65,535, those of 8 bits 255. Real ones have 1, or 255 where they go beyond; a
    little more or less than these, as scaling makes it, is cut off. Raises ImageError for others, which have no agreed
    range.
    """
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    whites = (1.0, 255.0) if mode.startswith("F") else (255.0,) if mode == "L" else (65535.0,)
    beyond = 0.0 if not mode.startswith("F") else OVERSHOOT
    for each in whites:
        if low >= -beyond * min(high, each) and high <= (1 + beyond) * each:
            return each
    wanted = ", or ".join(f"0 to {each:,.0f}" for each in whites)
    raise ImageError(
        f"{name} holds numbers from {low:,.6g} to {high:,.6g}. Wanted {wanted}: what is white in others nobody knows. "
        "Scale them."
    )
