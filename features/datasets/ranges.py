"""Says what is taken of pictures that hold more: what is white in those of more than 8 bits, of several frames one."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from features.datasets import planes, tiffs
from features.datasets.image_set import FileOpener, ImageSet
from features.datasets.images import FORMATS, check_sides, white
from features.errors import ImageError

LOOKED_AT = 8  # images of a set
DEEP = (".tif", ".tiff", ".png", ".pgm", ".pnm", ".ppm")  # endings of files that may have more than 8 bits
SEVERAL = (".tif", ".tiff", ".gif", ".webp", ".png", ".avif")  # endings of files that may have several frames
TWELVE_BITS = 4095


@dataclass(frozen=True)
class Range:
    """The numbers of a picture of more than 8 bits. mode: Pillow's name for what they are; white: taken for white."""

    mode: str
    low: float
    high: float
    white: float


def range_of(data: bytes) -> Range | None:
    """Of a file's bytes; None for a picture of 8 bits, and for what is none."""
    try:
        numbers = tiffs.read(data, "", check_sides) if data.startswith(planes.TIFF) else None
        if numbers is not None:
            mode, values = numbers.mode, np.nan_to_num(numbers.values.astype(np.float64))  # (H, W, C)
        else:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                mode, values = image.mode, np.asarray(image, dtype=np.float64)  # (H, W)
        if not mode.startswith(("I", "F")):
            return None
        return Range(mode, float(values.min()), float(values.max()), white(mode, values, ""))
    except Exception:  # whoever decodes it says what is wrong
        return None


def notes(images: ImageSet) -> list[str]:
    """What is taken for white in a set, and of files of several frames, by some of its images, in sentences; none where
    all have 8 bits and one frame.
    """
    few = images.sample(LOOKED_AT)
    if not isinstance(few.opener, FileOpener):
        return []
    deep, several = [], []
    for row, name in enumerate(few.ids):
        if not name.lower().endswith((*DEEP, *SEVERAL)):
            continue
        try:
            data, _ = few.opener.read(row)
        except ImageError:
            continue
        if name.lower().endswith(DEEP) and (each := range_of(data)) is not None:
            deep.append(each)
        if name.lower().endswith(SEVERAL) and n_frames(data) > 1:
            several.append(name)
    sentences = [said([each for each in deep if each.mode == mode]) for mode in sorted({each.mode for each in deep})]
    if several:
        sentences.append(
            f"Of files of several frames or pages the first is taken ({several[0]}; {len(several)} of the {len(few)} "
            "images looked at)."
        )
    return sentences


def n_frames(data: bytes) -> int:
    """The frames or pages of an image file; 1 for what is none."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return int(getattr(image, "n_frames", 1))
    except Exception:  # whoever decodes it says what is wrong
        return 1


def said(ranges: list[Range]) -> str:
    """The numbers of pictures of one mode, and what is taken for white, as a sentence."""
    low, high = min(each.low for each in ranges), max(each.high for each in ranges)
    whites = sorted({each.white for each in ranges})
    text = (
        f"Pictures of more than 8 bits ({ranges[0].mode}) hold {low:,.6g} to {high:,.6g}; "
        f"{' or '.join(f'{each:,.6g}' for each in whites)} is taken for white."
    )
    if ranges[0].mode.startswith("I") and 0 < high <= TWELVE_BITS:
        text += f" If they have {max(9, int(high).bit_length())} bits they come out dark: scale them before."
    if len(whites) > 1:
        text += " Where none is larger than 1 that is 1, so that pictures of one set differ: scale them before."
    return text
