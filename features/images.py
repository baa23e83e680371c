"""Turns the bytes of an image file into an upright RGB picture and into a network's input, safely."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, ImageOps

from features.errors import FeatureError, ImageError

if TYPE_CHECKING:
    from torch import Tensor

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 50_000_000
MAX_ASPECT = 100
MAX_SIDE = 4096


def decode(data: bytes, name: str) -> Image.Image:
    """The picture in an image file, upright (EXIF) and in RGB; an animation's first frame.

    data: the file's bytes. name: what to call it in an error.
    Transparency is laid on white; 16-bit greys are scaled to 8 bits; palettes, greys and CMYK are converted.
    Raises ImageError for empty, truncated, oversized, very narrow and non-image files, naming the file and
    the reason.
    """
    if not data:
        raise ImageError(f"{name} is empty (0 bytes). Export or copy the image again.")
    need_size(len(data), name)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_size(image, name)
        image.load()
        return upright_rgb(image)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's own limit lies above ours, so that it only speaks of images which would be refused anyway.
        raise ImageError(
            f"{name} has more than {MAX_PIXELS // 10**6} megapixels, the most that are read. Scale it down first."
        ) from error
    except Image.UnidentifiedImageError:
        raise ImageError(
            f"{name} is not an image that can be read here (wanted {', '.join(FORMATS)}). Convert it to JPEG or PNG."
        ) from None
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        raise ImageError(f"{name} is damaged: {error}. Export or copy the image again.") from error


def need_size(n_bytes: int, name: str) -> None:
    """Raises ImageError if a file is too large to be read."""
    if n_bytes > MAX_BYTES:
        raise ImageError(
            f"{name} has {n_bytes / 2**20:.0f} MiB, but at most {MAX_BYTES // 2**20} MiB are read. Make it smaller."
        )


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
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


def upright_rgb(image: Image.Image) -> Image.Image:
    """A decoded picture turned as its EXIF orientation says, in RGB."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # it would copy all others
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = _to_8_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))  # (H, W)
    return Image.fromarray(np.clip(np.rint(values * _scale(image.mode, values)), 0, 255).astype(np.uint8))


def _scale(mode: str, values: np.ndarray) -> float:
    if mode != "F":
        return 255 / 65535
    # Floating-point pixels have no agreed range: those within [0, 1] are taken as shares of white.
    return 255.0 if values.max(initial=0) <= 1 else 1.0


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a network's input; it belongs to the weights.

    resize: the shorter side after scaling, in pixels; crop: the side of the centre square that is kept.
    mean, std: per channel, of values in [0, 1]; their number (3 or 1) is the network's input channels.
    interpolation: 'bilinear' or 'bicubic', antialiased.
    Raises FeatureError for settings outside these.
    """

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if len(self.mean) not in (1, 3) or len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise FeatureError(f"Wanted 3 or 1 means and as many stds above 0, but got {self.mean} and {self.std}.")
        if (
            min(self.resize, self.crop) < 1
            or max(self.resize, self.crop) > MAX_SIDE
            or self.interpolation not in ("bilinear", "bicubic")
        ):
            raise FeatureError(
                f"Wanted sides from 1 to {MAX_SIDE} px, 'bilinear' or 'bicubic', but got {self.resize}, {self.crop} "
                f"and {self.interpolation!r}."
            )

    @property
    def channels(self) -> int:
        return len(self.mean)

    def describe(self) -> str:
        """One line for people."""
        colour = "RGB" if self.channels == 3 else "grey"
        numbers = " ".join(f"{value:.3f}" for value in self.mean)
        deviations = " ".join(f"{value:.3f}" for value in self.std)
        return (
            f"shorter side to {self.resize} px ({self.interpolation}, antialiased), "
            f"centre {self.crop} x {self.crop} px, {colour} scaled to [0, 1], minus mean {numbers}, "
            f"divided by std {deviations}"
        )

    def __call__(self, image: Image.Image) -> "Tensor":
        """(C, S, S) float32, bit for bit what torchvision's `weights.transforms()` of the same settings gives."""
        return self.scaled(self.framed(image))

    def framed(self, image: Image.Image) -> "Tensor":
        """(C, S, S) uint8: scaled to size and cut, the part that takes time and is done image by image."""
        import torch

        picture = image if self.channels == 3 else image.convert("L")
        how = Image.Resampling[self.interpolation.upper()]
        width, height = (self.resize * side // min(picture.size) for side in picture.size)
        left, top = self._margin(width), self._margin(height)
        right, bottom = left + self.crop, top + self.crop
        if picture.width >= picture.height:
            # Pillow scales along rows first, then along columns. In between, columns that will be cut off are left out.
            rows = picture.resize((width, picture.height), how).crop((left, 0, right, picture.height))
            picture = rows.resize((self.crop, height), how).crop((0, top, self.crop, bottom))
        else:  # it may turn round what is tall, and each step rounds
            picture = picture.resize((width, height), how).crop((left, top, right, bottom))
        values = np.array(picture, np.uint8).reshape(self.crop, self.crop, self.channels)
        return torch.from_numpy(values.transpose(2, 0, 1).copy())

    def _margin(self, side: int) -> int:
        """How much is cut off before a side's centre; less than 0 for black that is added."""
        return round((side - self.crop) / 2) if side >= self.crop else -((self.crop - side) // 2)

    def scaled(self, pixels: "Tensor") -> "Tensor":
        """(..., C, S, S) from 0 to 255, uint8 or float32, of any number of images -> the network's input, float32."""
        import torch

        mean, std = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (self.mean, self.std))
        return pixels.to(torch.float32).div(255).sub_(mean).div_(std)

    def batch(self, pictures: list[Image.Image]) -> "Tensor":
        """(N, C, S, S) float32 of N pictures."""
        import torch

        return torch.stack([self(picture) for picture in pictures])

    def visible(self, image: Image.Image) -> np.ndarray:
        """What the network sees of a picture: (S, S, 3) uint8, before normalisation."""
        return self.framed(image).expand(3, -1, -1).permute(1, 2, 0).numpy()  # (S, S, 3)


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
