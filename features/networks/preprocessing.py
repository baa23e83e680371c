"""How a picture becomes a network's input: scaled, cut and normalised as the network was trained."""

from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from features.errors import FeatureError, ImageError

if TYPE_CHECKING:  # the first page says how a network sees, and waits for none of them
    import numpy as np
    from PIL import Image
    from torch import Tensor

MAX_SIDE = 1024  # at which a batch of 32 takes 2 GB behind the stem
MAX_CHANNELS, MIN_STD = 16, 1e-6
CHANNEL_ORDERS = {"rgb": "red, green, blue", "bgr": "blue, green, red"}
INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "lanczos", "box", "hamming")
FRAMINGS = {
    "centre": "the centre square; odd margins are rounded to even, as torchvision and timm do",
    "centre-down": "the centre square; odd margins are rounded down, as Hugging Face's processors do",
    "squash": "both sides are scaled alike, whatever the picture's shape",
}
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a network's input; it belongs to the weights.

    resize: the shorter side after scaling, in pixels, or both where `framing` is 'squash'; crop: the side of the centre
    square that is kept. framing: a name of FRAMINGS.
    mean, std: per channel, of values in [0, 1], in the network's order of channels; as many as the network has input
    channels. interpolation: of INTERPOLATIONS, antialiased but for 'nearest'. channel_order: of colours, 'rgb' or
    'bgr'. shown: which planes stand for red, green and blue where there are others than colours.
    Raises FeatureError for settings outside these.
    """

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    channel_order: str = "rgb"
    shown: tuple[int, ...] = (0, 1, 2)
    framing: str = "centre"

    def __post_init__(self) -> None:
        fit = 1 <= len(self.mean) <= MAX_CHANNELS and len(self.mean) == len(self.std)
        if not fit or not all(map(isfinite, (*self.mean, *self.std))) or min(self.std) < MIN_STD:
            raise FeatureError(
                f"Wanted 1 to {MAX_CHANNELS} means and as many stds above 0, but got {self.mean} and {self.std}."
            )
        if self.channel_order not in CHANNEL_ORDERS or (self.channel_order != "rgb" and self.channels != 3):
            raise FeatureError(
                f"Wanted colours in the order 'rgb', or 'bgr' of three channels, but got {self.channel_order!r} of "
                f"{self.channels}."
            )
        if len(self.shown) != 3 or not all(0 <= plane < max(3, self.channels) for plane in self.shown):
            raise FeatureError(f"Wanted three planes from 0 to {self.channels - 1} to show, but got {self.shown}.")
        if self.framing not in FRAMINGS:
            raise FeatureError(f"Wanted one of the framings {', '.join(FRAMINGS)}, but got {self.framing!r}.")
        if (
            min(self.resize, self.crop) < 1
            or max(self.resize, self.crop) > MAX_SIDE
            or self.interpolation not in INTERPOLATIONS
        ):
            raise FeatureError(
                f"Wanted sides from 1 to {MAX_SIDE} px and one of {', '.join(INTERPOLATIONS)}, but got {self.resize}, "
                f"{self.crop} and {self.interpolation!r}."
            )

    @property
    def channels(self) -> int:
        return len(self.mean)

    def settings(self) -> dict[str, Any]:
        """What a file keeps: all, but for what is so usual that files of before do not know it."""
        kept = asdict(self)
        usual = {"channel_order": "rgb", "shown": (0, 1, 2), "framing": "centre"}
        return {name: value for name, value in kept.items() if usual.get(name) != value}

    def describe_size(self) -> str:
        """The part of the line that says how a picture is scaled and cut."""
        how = "nearest pixel" if self.interpolation == "nearest" else f"{self.interpolation}, antialiased"
        if self.framing == "squash":
            whole = f"both sides to {self.resize} px ({how})"
            return whole if self.crop == self.resize else f"{whole}, centre {self.crop} x {self.crop} px"
        down = ", odd margins rounded down" if self.framing == "centre-down" else ""
        return f"shorter side to {self.resize} px ({how}), centre {self.crop} x {self.crop} px{down}"

    def describe(self) -> str:
        """One line for people."""
        colour = {1: "grey", 3: self.channel_order.upper()}.get(self.channels, f"{self.channels} channels")
        numbers = " ".join(f"{value:.3f}" for value in self.mean)
        deviations = " ".join(f"{value:.3f}" for value in self.std)
        return f"{self.describe_size()}, {colour} scaled to [0, 1], minus mean {numbers}, divided by std {deviations}"

    def __call__(self, image: "Image.Image") -> "Tensor":
        """(C, S, S) float32, bit for bit what torchvision's `weights.transforms()` of the same settings gives."""
        return self.scaled(self.framed(image))

    def framed(self, image: "Image.Image") -> "Tensor":
        """(C, S, S) of `pixel_type`: scaled to size and cut, the part that takes time and is done image by image."""
        import torch

        return torch.from_numpy(self.framed_array(image))

    @property
    def pixel_type(self) -> str:
        """What pixels are before they are normalised: 'uint8' of pictures, 'float32' of other numbers of planes."""
        return "uint8" if self.channels in (1, 3) else "float32"

    def framed_array(self, image: "Image.Image") -> "np.ndarray":
        """As `framed`, for processes that do without PyTorch: (C, S, S) from 0 to 255, of `pixel_type`.

        Raises ImageError for an image of another number of planes than the network takes; pictures go with 1 and 3.
        """
        import numpy as np
        from PIL import Image

        if self.pixel_type == "float32":
            return self._framed_planes(image)
        if getattr(image, "stretched", False):  # what is seen of its planes is made for people
            raise self._other_planes(image.planes.shape[2])  # type: ignore[attr-defined]
        picture = image if self.channels == 3 else image.convert("L")
        how = Image.Resampling[self.interpolation.upper()]
        width, height = self._scaled_size(picture.size)
        left, top = self._margin(width), self._margin(height)
        right, bottom = left + self.crop, top + self.crop
        if picture.width >= picture.height:
            # Pillow scales along rows first, then along columns. In between, columns that will be cut off are left out.
            rows = picture.resize((width, picture.height), how).crop((left, 0, right, picture.height))
            picture = rows.resize((self.crop, height), how).crop((0, top, self.crop, bottom))
        else:  # it may turn round what is tall, and each step rounds
            picture = picture.resize((width, height), how).crop((left, top, right, bottom))
        values = np.array(picture, np.uint8).reshape(self.crop, self.crop, self.channels)
        values = values[:, :, ::-1] if self.channel_order == "bgr" else values
        return values.transpose(2, 0, 1).copy()

    def _framed_planes(self, image: "Image.Image") -> "np.ndarray":
        """(C, S, S) float32 of an image with as many planes, each scaled and cut as a picture."""
        import numpy as np
        from PIL import Image

        values: np.ndarray | None = getattr(image, "planes", None)  # of datasets.planes
        count = 3 if values is None else values.shape[2]
        if values is None or count != self.channels:
            raise self._other_planes(count)
        how = Image.Resampling[self.interpolation.upper()]
        width, height = self._scaled_size(image.size)
        left, top = self._margin(width), self._margin(height)
        box = (left, top, left + self.crop, top + self.crop)
        made = [Image.fromarray(plane).resize((width, height), how).crop(box) for plane in values.transpose(2, 0, 1)]
        return np.stack([np.asarray(plane, np.float32) for plane in made])

    def _other_planes(self, count: int) -> ImageError:
        return ImageError(
            f"An image of {count} channels was given to a network of {self.channels}. Give .npy or .tif files with "
            f"{self.channels} planes."
        )

    def box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Where in a picture of `size` (width, height) the network sees it, in pixels of the picture from its upper
        left: left, top, right, bottom. Beyond the picture where black is added.
        """
        scaled = self._scaled_size(size)
        starts = [self._margin(side) for side in scaled]
        (left, right), (top, bottom) = (
            (start * whole / side, (start + self.crop) * whole / side)
            for start, side, whole in zip(starts, scaled, size, strict=True)
        )
        return left, top, right, bottom

    def _scaled_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height after scaling."""
        if self.framing == "squash":
            return self.resize, self.resize
        width, height = size
        return self.resize * width // min(size), self.resize * height // min(size)

    def _margin(self, side: int) -> int:
        """How much is cut off before a side's centre; less than 0 for black that is added."""
        if self.framing == "centre-down" and side >= self.crop:
            return (side - self.crop) // 2
        return round((side - self.crop) / 2) if side >= self.crop else -((self.crop - side) // 2)

    def scaled(self, pixels: "Tensor") -> "Tensor":
        """(..., C, S, S) from 0 to 255, uint8 or float32, of any number of images -> the network's input, float32."""
        import torch

        mean, std = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (self.mean, self.std))
        return pixels.to(torch.float32).div(255).sub_(mean).div_(std)

    def batch(self, pictures: "list[Image.Image]") -> "Tensor":
        """(N, C, S, S) float32 of N pictures."""
        import torch

        return torch.stack([self(picture) for picture in pictures])

    def visible(self, image: "Image.Image") -> "np.ndarray":
        """What the network sees of a picture: (S, S, 3) uint8, before normalisation; of planes, those `shown`."""
        if self.pixel_type == "float32":
            return from_dark_to_bright(
                self.framed_array(image)[[plane % self.channels for plane in self.shown]].transpose(1, 2, 0)
            )
        values = self.framed(image).expand(3, -1, -1).permute(1, 2, 0).numpy()  # (S, S, 3)
        return values[:, :, ::-1].copy() if self.channel_order == "bgr" else values


def from_dark_to_bright(planes: "np.ndarray") -> "np.ndarray":
    """(H, W, 3) uint8 of any three planes, each from its 2nd percentile (black) to its 98th (white)."""
    import numpy as np

    low, high = np.percentile(planes, (2, 98), axis=(0, 1))
    return np.clip(255 * (planes - low) / np.maximum(high - low, 1e-12), 0, 255).astype(np.uint8)
