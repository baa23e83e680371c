"""Convolutions without the BatchNorm after them, in a precision that may be lower than float32.

Half of what bf16 loses on trained networks is lost in two places, and both are kept here at little cost. The filters of
the first convolution take differences of neighbouring pixels, so that the rounding of the pixels outweighs the signal:
it sees each of them in two parts, and its weights too. And a rounded bias is off by the same amount at every position,
which no average over space removes: biases stay in float32.
"""

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval


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


def lowered(layers: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The same layers with the weights of their convolutions, and those alone, in another precision."""
    if dtype == torch.float32 or not isinstance(layers, nn.Sequential):
        return layers
    return nn.Sequential(*(LowConv(layer, dtype) if isinstance(layer, nn.Conv2d) else layer for layer in layers))


def lowered_stem(stem: nn.Sequential, dtype: torch.dtype) -> nn.Sequential:
    """A stem as `folded` and `lowered` that takes pixels in float32."""
    if dtype == torch.float32:
        return cast(nn.Sequential, folded(stem))
    return nn.Sequential(SplitInput(dtype), *cast(nn.Sequential, lowered(widened_stem(stem, dtype), dtype)))


def widened_stem(stem: nn.Sequential, dtype: torch.dtype) -> nn.Sequential:
    """A stem as `folded` in float32 that takes pixels as `split`."""
    first, *others = cast(nn.Sequential, folded(stem))
    return nn.Sequential(widened(cast(nn.Conv2d, first), dtype), *others)


class LowConv(nn.Module):
    """A convolution of inputs and weights of a lower precision, with its bias in float32."""

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.detach().to(dtype), requires_grad=False)
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach().float(), requires_grad=False)
        self.how = (cast(tuple[int, ...], conv.padding), conv.stride, conv.dilation, conv.groups)

    def forward(self, x: Tensor) -> Tensor:
        padding, stride, dilation, groups = self.how
        if x.device.type == "cpu" and torch.backends.mkldnn.is_available():
            # What conv2d calls too, after it has refused a bias of another precision.
            return torch.mkldnn_convolution(x, self.weight, self.bias, padding, stride, dilation, groups)
        x = functional.conv2d(x, self.weight, None, stride, padding, dilation, groups)
        return x if self.bias is None else x.add_(self.bias[:, None, None])


class SplitInput(nn.Module):
    """(N, C, H, W) float32 -> (N, 3C, H, W) of a lower precision, for a convolution `widened` for it."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return split(x, self.dtype)


def split(x: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, C, H, W) float32 as its rounding, what that took away, and the rounding again: (N, 3C, H, W) of `dtype`."""
    high = x.to(dtype)
    return torch.cat([high, (x - high).to(dtype), high], 1)


def widened(conv: nn.Conv2d, dtype: torch.dtype) -> nn.Conv2d:
    """A convolution in float32 that does to a split input what this one does to the input.

    With the two parts of a value, x = x' + x" and w = w' + w", its sums are x'w' + x"w' + x'w"; what is left out, x"w",
    is 2^-16 of them for bf16.
    """
    wide = nn.Conv2d(
        3 * conv.in_channels,
        conv.out_channels,
        cast(tuple[int, int], conv.kernel_size),
        cast(tuple[int, int], conv.stride),
        cast(tuple[int, int], conv.padding),
        cast(tuple[int, int], conv.dilation),
        bias=conv.bias is not None,
    )
    weight = conv.weight.detach()
    high = weight.to(dtype).float()
    wide.weight.data = torch.cat([high, high, weight - high], 1)
    if conv.bias is not None:
        wide.bias.data = conv.bias.detach().clone()  # type: ignore[union-attr]
    return wide.requires_grad_(False).eval()
