"""Images of any number of planes: arrays in .npy files, TIFFs of more bands than a picture has.

Such an image is opened as a picture of three of its planes, so that it can be shown, which carries them all: `of` gives
them to whoever makes a network's input of it.
"""

import io

import numpy as np
from PIL import Image

from features.errors import ImageError
from features.networks.preprocessing import from_dark_to_bright

NPY = b"\x93NUMPY"
TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
MAX_PLANES = 16
MAX_VALUES = 200_000_000


def of(picture: Image.Image) -> np.ndarray | None:
    """(H, W, C) float32 from 0 to 255, what a picture was made of; None for a picture that is all there is."""
    return getattr(picture, "planes", None)


def picture_of(values: np.ndarray) -> Image.Image:
    """A picture of the first three planes (or of one), stretched to be seen, that carries all.

    values: (H, W, C) of `scaled`."""
    shown = values[:, :, :3] if values.shape[2] >= 3 else values[:, :, :1].repeat(3, 2)
    picture = Image.fromarray(from_dark_to_bright(shown))
    picture.planes, picture.stretched = values, True  # type: ignore[attr-defined]
    return picture


def carried(picture: Image.Image, values: np.ndarray, name: str) -> Image.Image:
    """A picture that is shown as it is and carries planes: what a stack of greys is to networks of so many channels."""
    picture.planes = scaled(values, name)  # type: ignore[attr-defined]
    return picture


def plain_picture(values: np.ndarray, name: str) -> Image.Image:
    """The picture whose numbers one plane or three are. values: (H, W, 1 or 3) of `scaled`.

    Raises ImageError for numbers that no picture has.
    """
    low, high = float(values.min()), float(values.max())
    if low < -0.5 or high > 255.5:
        raise ImageError(
            f"{name} holds {values.shape[2]} planes of numbers from {low / 255:.3g} to {high / 255:.3g}, where a "
            "picture has 0 to 1, or whole numbers. Scale them."
        )
    pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels if values.shape[2] == 3 else pixels[:, :, 0])


def scaled(values: np.ndarray, name: str) -> np.ndarray:
    """Values of any type as float32 from 0 to 255: integers as shares of their type's largest, floats as shares of 1.

    Raises ImageError for other types, and for values that are no numbers.
    """
    if values.dtype == np.bool_:
        return values.astype(np.float32) * 255
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float32) * np.float32(255 / np.iinfo(values.dtype).max)
    if not np.issubdtype(values.dtype, np.floating):
        raise ImageError(f"{name} holds values of type {values.dtype}. Wanted whole or floating-point numbers.")
    if not np.isfinite(values).all():
        raise ImageError(f"{name} holds values that are infinite or no numbers. Replace them first.")
    return values.astype(np.float32) * 255


def is_array(data: bytes) -> bool:
    return data.startswith(NPY)


def read_array(data: bytes, name: str) -> np.ndarray:
    """(H, W, C) of a .npy file, of which nothing is run. Raises ImageError for other shapes and damaged files."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(stream)
    except Exception as error:  # a damaged header raises many kinds
        raise ImageError(f"{name} is damaged: {str(error)[:200]}. Save the array again.") from error
    if kind.hasobject or len(shape) not in (2, 3) or not 0 < np.prod(shape, dtype=float) <= MAX_VALUES:
        raise ImageError(f"{name} holds {kind} of shape {shape}. Wanted numbers (H, W), (H, W, C) or (C, H, W).")
    try:
        values = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ImageError(f"{name} is damaged: {str(error)[:200]}. Save the array again.") from error
    return in_order(values, name)


def read_tiff(data: bytes, name: str) -> np.ndarray | None:
    """(H, W, C) of a TIFF of more bands than a picture has, or of three of real numbers; None for all others."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            series, page = file.series[0], file.pages.first
            count = page.samplesperpixel if page.samplesperpixel > 1 else len(series.pages)
            greys = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
            is_real = count == 3 and page.dtype is not None and page.dtype.kind == "f"  # which Pillow does not read
            if not is_real and (count in (1, 3) or page.photometric not in greys):
                return None
            shape = tuple(side for side in series.shape if side != 1)
            if len(shape) != 3 or count > MAX_PLANES:
                return None
            if not 0 < np.prod(shape, dtype=float) <= MAX_VALUES:
                raise ImageError(f"{name} has the shape {shape}, more than is read. Make it smaller.")
            values = series.asarray().reshape(shape)
            first = page.samplesperpixel == 1 or page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    except ImageError:
        raise
    except Exception:  # it raises many kinds for what it does not know; whoever reads pictures says what is wrong
        return None
    return values.transpose(1, 2, 0) if first else values


def in_order(values: np.ndarray, name: str) -> np.ndarray:
    """(H, W, C) of an array (H, W), (H, W, C) or (C, H, W): the planes are those that are at most MAX_PLANES."""
    if values.ndim == 2:
        return values[:, :, None]
    if values.shape[2] <= MAX_PLANES:
        return values
    if values.shape[0] <= MAX_PLANES:
        return values.transpose(1, 2, 0)
    raise ImageError(f"{name} has the shape {values.shape}. Wanted at most {MAX_PLANES} planes, first or last.")
