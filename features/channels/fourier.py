"""A picture by its Fourier coefficients, and the ways it is shaken while an ascent changes it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from features.networks.preprocessing import Preprocessing

START = 0.01  # standard deviation of the coefficients at first, each in units of its scale
# The square root of the correlation matrix of red, green and blue in ImageNet's photographs, as lucid publishes it
# (Apache-2.0), divided by the length of its longest column: from colours that vary by themselves to red, green, blue.
COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
MID_GREY = 127.5
# Of a picture of 224 px 8 and 4 px of jitter; smaller ones in proportion, but for 1 px at least.
JITTER, LAST_JITTER = 8 / 224, 4 / 224
SCALES, DEGREES = (0.9, 1.1), 10.0


def drawn(preprocessing: Preprocessing, generator: torch.Generator) -> Tensor:
    """Coefficients of a faint picture to begin with, (C, S, S // 2 + 1, 2) float32 on the CPU."""
    side = preprocessing.crop
    return START * torch.randn(preprocessing.channels, side, side // 2 + 1, 2, generator=generator)


@dataclass(frozen=True, eq=False)
class Canvas:
    """Makes pixels of coefficients (Olah et al. 2017, doi:10.23915/distill.00007, "Preconditioning").

    A coefficient counts the less the higher its frequency, as in photographs, so that a step of the ascent changes all
    scales alike. Where three planes are colours, these vary by themselves, as in photographs too. scales: (S, S // 2 +
    1). colours: (3, 3), from independent colours to the network's planes; None where planes are no colours.
    """

    scales: Tensor
    colours: Tensor | None

    def pixels(self, coefficients: Tensor) -> Tensor:
        """(1, C, S, S) float32 from 0 to 255, in the order of the network's planes."""
        spectrum = torch.view_as_complex(coefficients) * self.scales
        side = self.scales.shape[0]
        values = torch.fft.irfft2(spectrum, s=(side, side)) / 4  # (C, S, S)
        if self.colours is not None:
            values = torch.einsum("dc,chw->dhw", self.colours, values)
        return 255 * values.sigmoid()[None]


def canvas(preprocessing: Preprocessing, device: torch.device) -> Canvas:
    side = preprocessing.crop
    down, across = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]
    frequencies = (down.square() + across.square()).sqrt()  # (S, S // 2 + 1), in cycles per pixel
    scales = side / frequencies.clamp_min(1 / side)  # side: what irfft2 divides by, for a sum of independent waves
    colours = None
    if preprocessing.channels == 3:
        matrix = torch.tensor(COLOURS)
        matrix /= torch.linalg.vector_norm(matrix, dim=0).max()
        colours = (matrix.flip(0) if preprocessing.channel_order == "bgr" else matrix).to(device)
    return Canvas(scales.to(device), colours)


def shaken(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """A picture (1, C, S, S) on mid grey, shifted, scaled, turned and shifted again by chance: as large.

    What a picture answers to only where every pixel stays as it is does not survive this, so that an ascent finds what
    answers wherever it lies (Olah et al. 2017, "Transformation Robustness"). All of it is one resampling.
    """
    side = pixels.shape[-1]
    first, second = (_shift(share, side, generator) for share in (JITTER, LAST_JITTER))  # pixels, (2,)
    scale = SCALES[0] + (SCALES[1] - SCALES[0]) * float(torch.rand((), generator=generator))
    angle = torch.deg2rad(DEGREES * (2 * torch.rand((), generator=generator) - 1))
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).reshape(2, 2) / scale
    # From a place in the shaken picture to that in the given one, both from -1 to 1.
    places = torch.cat([turn, ((turn @ second + first) * 2 / side)[:, None]], 1)[None]  # (1, 2, 3)
    grid = functional.affine_grid(places.to(pixels.device), list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels - MID_GREY, grid, align_corners=False, padding_mode="zeros") + MID_GREY


def _shift(share: float, side: int, generator: torch.Generator) -> Tensor:
    reach = max(1, round(share * side))
    return torch.randint(-reach, reach + 1, (2,), generator=generator).float()
