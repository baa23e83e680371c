"""What waves a filter is made of: its spatial frequency and orientation, from its zero-padded Fourier spectrum."""

from dataclasses import dataclass

import numpy as np

PADDED = 128  # samples a side: frequencies are told to 1 / 128 of a cycle per pixel
AT_ONCE = 64  # filters


@dataclass(frozen=True, eq=False)
class Waves:
    """The strongest wave of each of O filters.

    frequency: (O,) float64, in cycles per pixel, from 0 to 0.71 in a corner of the spectrum. orientation: (O,) float64,
    of its bars in degrees from 0 to 180, counter-clockwise from lying ones; NaN where the frequency is 0. share: (O,)
    float64 in [0, 1], of the sum of squared weights, what this one wave, with a phase and size of its own in every
    plane, accounts for; NaN where all weights are 0.
    """

    frequency: np.ndarray
    orientation: np.ndarray
    share: np.ndarray


def strongest_waves(kernels: np.ndarray) -> Waves:
    """kernels: (O, I, H, W). The wave is where the power spectrum, summed over the I planes, is greatest."""
    parts = [_strongest(part) for part in np.array_split(kernels.astype(np.float64), -(-len(kernels) // AT_ONCE))]
    down, across = (np.concatenate(values) for values in zip(*parts, strict=True))  # cycles per pixel, (O,)
    frequency = np.hypot(down, across)
    # A wave that runs downwards has lying bars; rows count downwards, angles do not.
    orientation = np.where(frequency > 0, np.degrees(np.arctan2(across, down)) % 180, np.nan)
    shares = [_share(kernel, wave) for kernel, wave in zip(kernels, zip(down, across, strict=True), strict=True)]
    return Waves(frequency, orientation, np.array(shares))


def _strongest(kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cycles per pixel downwards and across, (O,) each, of some filters (O, I, H, W)."""
    power = np.square(np.abs(np.fft.rfft2(kernels, (PADDED, PADDED)))).sum(1)  # (O, PADDED, PADDED // 2 + 1)
    rows, columns = np.unravel_index(power.reshape(len(power), -1).argmax(1), power.shape[1:])
    return np.fft.fftfreq(PADDED)[rows], np.fft.rfftfreq(PADDED)[columns]


def _share(kernel: np.ndarray, wave: tuple[float, float]) -> float:
    """What a wave accounts for of the squares of a kernel (I, H, W): least squares, every plane by itself."""
    planes = kernel.reshape(len(kernel), -1).astype(np.float64)  # (I, H * W)
    total = np.square(planes).sum()
    if total == 0:
        return np.nan
    rows, columns = np.indices(kernel.shape[1:])
    phases = 2 * np.pi * (wave[0] * rows + wave[1] * columns).ravel()
    basis, sizes, _ = np.linalg.svd(np.stack([np.cos(phases), np.sin(phases)], 1), full_matrices=False)
    basis = basis[:, sizes > 1e-9 * sizes[0]]  # of frequency 0 the sine is nothing
    return float(min(1.0, np.square(planes @ basis).sum() / total))
