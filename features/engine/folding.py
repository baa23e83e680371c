"""A network's layers without BatchNorm, in a precision that may be lower than float32.

What bf16 loses on trained networks it loses in three places, all of which are kept here at no cost in time:

- The first filters take differences of neighbouring pixels, which are small beside the rounding of scaled pixels. Here
  the first convolution sees differences of whole grey levels, which are exact, and does the scaling itself.
- Rounded weights of such a filter no longer sum to what they did. Here each is rounded so that the sum stays.
- A rounded bias is off by the same amount at every position, which no mean over space removes. Here biases stay
  float32, where the engine allows it.
"""

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from features.engine.convolution import Convolution
from features.networks.preprocessing import Preprocessing


def folded(layers: nn.Module) -> nn.Module:
    """A copy with the same function in eval mode, every BatchNorm folded into the convolution before it."""
    if not isinstance(layers, nn.Sequential):
        return copy.deepcopy(layers)
    found: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            found[-1] = fuse_conv_bn_eval(cast(nn.Conv2d, found[-1]), layer)
        elif isinstance(layer, nn.ReLU):
            found.append(nn.ReLU(inplace=True))
        else:
            found.append(copy.deepcopy(layer))
    return nn.Sequential(*found)


def rounded(layers: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The same layers, whose convolutions' weights are numbers of `dtype` (and still float32), as `round_weight`."""
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d) and dtype != torch.float32:
            layer.weight.data = round_weight(layer.weight.data, dtype)
    return layers


def round_weight(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """(O, I, H, W) -> the same in numbers of `dtype`, each (H, W) filter with nearly the sum that it had.

    Error diffusion: what rounding takes from one number is given to the next smaller one before it is rounded.
    """
    flat = weight.flatten(2)  # (O, I, H * W)
    order = flat.abs().argsort(-1, descending=True)
    values = flat.gather(-1, order)
    error = torch.zeros_like(values[..., 0])
    for place in range(values.shape[-1]):
        wanted = values[..., place] + error
        values[..., place] = wanted.to(dtype)
        error = wanted - values[..., place]
    return torch.empty_like(flat).scatter(-1, order, values).reshape(weight.shape)


def prepared(layers: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The same layers, their convolutions ready to run in a precision, whose weights are `rounded` to it."""
    if not isinstance(layers, nn.Sequential):
        return layers
    return nn.Sequential(
        *(
            Convolution(layer, dtype) if isinstance(layer, nn.Conv2d) else layer.to(dtype)
            for layer in cast(nn.Sequential, rounded(layers, dtype))
        )
    )


def pixel_stem(stem: nn.Sequential, preprocessing: Preprocessing, dtype: torch.dtype) -> nn.Sequential:
    """A folded stem that takes pixels as they are, (N, C, S, S) uint8, with weights `rounded` to a lower precision."""
    first, *others = cast(nn.Sequential, folded(stem))
    if dtype == torch.float32:
        return nn.Sequential(Scale(preprocessing), first, *others)
    centre = Centre(preprocessing)
    whole = centre.absorbed(cast(nn.Conv2d, first), preprocessing)
    return nn.Sequential(centre, rounded(whole, dtype), *others)


class Scale(nn.Module):
    """uint8 -> the network's input in float32, as `Preprocessing.scaled`, for a network that is exported or moved."""

    mean: Tensor  # (C, 1, 1)
    std: Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(preprocessing.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(preprocessing.std)[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.to(torch.float32).div(255).sub_(self.mean).div_(self.std)


class Centre(nn.Module):
    """uint8 -> grey levels above the mean's nearest whole number, over 64: exact in every floating-point precision."""

    shift: Tensor  # (C, 1, 1)
    STEP = 1 / 64  # makes values, and the weights that they meet, about as large as those of scaled pixels

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(preprocessing.mean).mul(255).round()[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.shift.dtype).sub(self.shift).mul_(self.STEP)

    def absorbed(self, conv: nn.Conv2d, preprocessing: Preprocessing) -> nn.Conv2d:
        """A convolution of these numbers that equals `conv` of scaled pixels.

        But for the zeros that it pads with, which are off by what the mean was rounded: less than half a grey level.
        """
        mean, std = (255 * torch.tensor(values) for values in (preprocessing.mean, preprocessing.std))
        weight = conv.weight.detach() / std[:, None, None]  # of grey levels
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
        whole = copy.deepcopy(conv)
        whole.weight.data = weight / self.STEP
        whole.bias = nn.Parameter(bias + (weight.sum((2, 3)) * (self.shift.flatten() - mean)).sum(1))
        return whole
