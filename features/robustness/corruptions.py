"""Corruptions of pictures, each at five strengths: the one list of families that are measured.

Noise, blur, contrast and JPEG as Hendrycks & Dietterich (2019, arXiv:1903.12261) have them, with their strengths for
ImageNet and, for pictures of up to 64 pixels, for CIFAR; rotation and shift up to what Engstrom et al. (2019,
arXiv:1712.02779) search. What is corrupted is the square that a network sees, in whole grey levels, after it was scaled
and cut: a strength is then the same for every picture whatever its size, nothing is scaled away again, and the black of
a rotation lies inside what is seen.
"""

import hashlib
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from features.registry import Registry

STRENGTHS = 5
Drawn = Sequence[np.random.Generator]
SMALL = 64  # pixels of a side up to which the strengths are those for CIFAR


@dataclass(frozen=True)
class Corruption:
    """A family of corruptions.

    name: on the command line and in tables. title, method: for people. unit: of the strengths. small, large: these, the
    mildest first, of pictures of up to SMALL pixels and of larger ones.
    run: pictures (N, C, H, W) uint8, a strength, what chance does to each -> the pictures corrupted.
    """

    name: str
    title: str
    method: str
    unit: str
    small: tuple[float, ...]
    large: tuple[float, ...]
    run: Callable[[np.ndarray, float, Drawn], np.ndarray]

    def strengths(self, side: int) -> tuple[float, ...]:
        """The five strengths for pictures of so many pixels a side."""
        return self.small if side <= SMALL else self.large


def corrupted(
    pixels: np.ndarray, family: Corruption, strength: float, ids: Sequence[str], seed: int = 0, order: str = "rgb"
) -> np.ndarray:
    """Pictures (N, C, S, S) uint8 of a network's input, C 1 or 3, corrupted.

    ids: (N,) what the images are called. What is drawn of one depends on its name, the family and the seed alone, so
    that it is the same at every strength, for every network and in every subset. order: of the colours.
    """
    step = -1 if order == "bgr" else 1
    pictures = np.ascontiguousarray(pixels[:, ::step])
    made = family.run(pictures, strength, [drawing(name, family.name, seed) for name in ids])
    return np.ascontiguousarray(made[:, ::step])


def drawing(name: str, what: str, seed: int) -> np.random.Generator:
    """What chance does to one image."""
    digest = hashlib.sha256(f"{what} {name}".encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, np.uint32).tolist()])


def noisy(pictures: np.ndarray, strength: float, drawn: Drawn) -> np.ndarray:
    """Plus normal noise with a standard deviation of `strength` times the range of pixels."""
    shape = pictures.shape[2:]  # (H, W), each of C planes
    noise = np.stack([each.standard_normal((*shape, pictures.shape[1])).transpose(2, 0, 1) for each in drawn])
    return _levels(pictures + 255 * strength * noise)


def blurred(pictures: np.ndarray, strength: float, _: Drawn) -> np.ndarray:
    """Convolved with a Gaussian of a standard deviation of `strength` pixels, cut at four of them; mirrored beyond.

    By SciPy, one side after the other: torchvision's filter of both at once takes a hundred times as long.
    """
    from scipy import ndimage

    return _levels(ndimage.gaussian_filter(pictures.astype(np.float32), (0, 0, strength, strength), mode="mirror"))


def flattened(pictures: np.ndarray, strength: float, _: Drawn) -> np.ndarray:
    """Differences from each channel's mean times `strength`."""
    means = pictures.mean((2, 3), keepdims=True)
    return _levels((pictures - means) * strength + means)


def compressed(pictures: np.ndarray, strength: float, _: Drawn) -> np.ndarray:
    """Written as JPEG of a quality of `strength` and read again."""
    from PIL import Image

    made = np.empty_like(pictures)
    for row, planes in enumerate(pictures):
        picture, file = np.ascontiguousarray(planes.transpose(1, 2, 0)), io.BytesIO()  # (H, W, C)
        Image.fromarray(picture[:, :, 0] if len(planes) == 1 else picture).save(file, "JPEG", quality=int(strength))
        made[row] = np.asarray(Image.open(file)).reshape(picture.shape).transpose(2, 0, 1)
    return made


def rotated(pictures: np.ndarray, strength: float, drawn: Drawn) -> np.ndarray:
    """Turned round the centre by `strength` degrees to one of both sides, bilinear; black where nothing was."""
    import torch
    from torchvision.transforms.v2 import InterpolationMode, functional

    made, to_left = np.empty_like(pictures), np.array([each.random() < 0.5 for each in drawn])
    for side, angle in ((to_left, strength), (~to_left, -strength)):
        if side.any():
            turned = functional.rotate(torch.from_numpy(pictures[side]), angle, InterpolationMode.BILINEAR)
            made[side] = turned.numpy()
    return made


def shifted(pictures: np.ndarray, strength: float, drawn: Drawn) -> np.ndarray:
    """Moved by `strength` of a side in any direction, in whole pixels; black where nothing was."""
    made, (height, width) = np.zeros_like(pictures), pictures.shape[2:]
    for row, each in enumerate(drawn):
        angle = 2 * math.pi * each.random()
        down, right = round(strength * height * math.sin(angle)), round(strength * width * math.cos(angle))
        made[row, :, max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = pictures[
            row, :, max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
        ]
    return made


def _levels(values: np.ndarray) -> np.ndarray:
    """The nearest grey levels."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


_OF_SIDE = (1 / 32, 2 / 32, 3 / 32, 4 / 32, 6 / 32)
_DEGREES = (5.0, 10.0, 15.0, 20.0, 30.0)
FAMILIES = Registry(
    "corruption",
    (
        Corruption(
            "noise", "Gaussian noise", "normal noise on every value", "of the range of pixels",
            (0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38), noisy,
        ),
        Corruption(
            "blur", "Gaussian blur", "a Gaussian filter", "px of standard deviation",
            (0.4, 0.6, 0.7, 0.8, 1.0), (1.0, 2.0, 3.0, 4.0, 6.0), blurred,
        ),
        Corruption(
            "contrast", "Lower contrast", "differences from the mean made smaller", "of the contrast left",
            (0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05), flattened,
        ),
        Corruption(
            "jpeg", "JPEG", "written as JPEG and read again", "quality",
            (80.0, 65.0, 58.0, 50.0, 40.0), (25.0, 18.0, 15.0, 10.0, 7.0), compressed,
        ),
        Corruption("rotation", "Rotation", "turned to one of both sides", "degrees", _DEGREES, _DEGREES, rotated),
        Corruption("shift", "Shift", "moved in any direction", "of a side", _OF_SIDE, _OF_SIDE, shifted),
    ),
)  # fmt: skip
