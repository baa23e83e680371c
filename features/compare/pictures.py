"""What can be measured of the pictures themselves, by which networks may differ."""

import numpy as np
from PIL import Image

from features.datasets import ImageSet
from features.datasets.ahead import ahead
from features.errors import ImageError
from features.progress import Progress, Task

SIDE = 64  # px to which a picture is reduced before its brightness is read
BRIGHTNESS, CONTRAST, SIZE, SHAPE = "brightness", "contrast", "megapixels", "width / height"


def properties(images: ImageSet) -> Task[dict[str, np.ndarray]]:
    """Of every image (N,) float64: brightness, the mean of its grey values in [0, 1]; contrast, their standard
    deviation (RMS contrast: Peli 1990, doi:10.1364/JOSAA.7.002032); its megapixels; width over height. NaN where it
    cannot be read.
    """
    values = np.full((len(images), 4), np.nan)
    yield Progress(0, len(images), "image", "brightness, contrast and size")
    for row, told in enumerate(ahead(len(images), lambda row: _properties(images.open(row)))):
        if not isinstance(told, ImageError):
            values[row] = told
        yield Progress(row + 1, len(images), "image", "brightness, contrast and size")
    return dict(zip((BRIGHTNESS, CONTRAST, SIZE, SHAPE), values.T, strict=True))


def _properties(picture: Image.Image) -> tuple[float, float, float, float]:
    width, height = picture.size
    small = picture.convert("L")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, np.float64) / 255
    return float(grey.mean()), float(grey.std()), width * height / 1e6, width / height
