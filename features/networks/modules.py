"""Layers of residual networks that PyTorch does not have; none keeps anything beside its weights."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from features.networks.layout import HEAD_POOLS


class PaddedShortcut(nn.Module):
    """Option A of He et al. 2015, section 3.3: take every stride-th pixel, pad new channels with zeros.

    Free of parameters. at: 'both', where new channels are split evenly before and after the old ones, as in the
    CIFAR-10 code whose checkpoints are most widely used, or the 'end', where all come after them.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, at: str = "both") -> None:
        super().__init__()
        self.stride = stride
        self.before = (out_channels - in_channels) // 2 if at == "both" else 0
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]  # (N, C, H/s, W/s)
        return functional.pad(x, (0, 0, 0, 0, self.before, self.after))  # (N, C', H/s, W/s)

    def extra_repr(self) -> str:
        return f"stride={self.stride}, zeros=({self.before}, {self.after})"


class NoShortcut(nn.Module):
    """What a plain network has in the shortcut's place: zeros of the branch's shape."""

    def __init__(self, out_channels: int, stride: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        height, width = (-(-side // self.stride) for side in x.shape[2:])
        # Not len(x), which an exported network would keep as it is.
        return x.new_zeros(x.shape[0], self.out_channels, height, width)  # (N, C', H/s, W/s)

    def extra_repr(self) -> str:
        return f"{self.out_channels}, stride={self.stride}"


class BlurPool(nn.Module):
    """A binomial 3x3 filter of the mirrored image, at every stride-th pixel (Zhang 2019, arXiv:1904.11486).

    As two averages of 2x2, which give the same weights, 1 2 1 times 1 2 1, and need none to be kept.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (1, 1, 1, 1), mode="reflect")  # (N, C, H+2, W+2)
        return functional.avg_pool2d(functional.avg_pool2d(x, 2, 1), 2, self.stride)  # (N, C, H/s, W/s)

    def extra_repr(self) -> str:
        return f"stride={self.stride}"


class GlobalPool(nn.Module):
    """A head's pool of another kind than the average: (N, C, H, W) -> (N, D, 1, 1), sums in float32 at least.

    The gradient of a maximum goes to one place, as that of PyTorch's pools does.
    """

    def __init__(self, kind: str) -> None:
        """kind: of layout.HEAD_POOLS."""
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        pool = HEAD_POOLS[self.kind]
        made = [_OVER_SPACE[name](x) for name in pool.takes]  # (N, C, 1, 1) each
        return 0.5 * (made[0] + made[1]) if pool.mixed else torch.cat(made, 1)  # (N, D, 1, 1)

    def extra_repr(self) -> str:
        return self.kind


def global_average(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 1, 1), summed in float32 at least."""
    return x.mean((2, 3), keepdim=True, dtype=_at_least_float32(x))


def _global_max(x: Tensor) -> Tensor:
    return functional.adaptive_max_pool2d(x, 1).to(_at_least_float32(x))


def _at_least_float32(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


_OVER_SPACE = {"average": global_average, "max": _global_max}


class SqueezeExcite(nn.Module):
    """Every channel times a gate that two layers make of all channels' means (Hu et al. 2018, arXiv:1709.01507)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, width, 1)
        self.fc2 = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        return x * self.fc2(functional.relu(self.fc1(means))).sigmoid()


class ChannelAttention(nn.Module):
    """Every channel times a gate made of its own and its neighbours' means (Wang et al. 2020, arXiv:1910.03151)."""

    def __init__(self, taps: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, taps, padding=taps // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3))[:, None]  # (N, 1, C)
        return x * self.conv(means).sigmoid().movedim(1, 2)[..., None]  # times (N, C, 1, 1)


class ScaleAndShift(nn.Module):
    """Features (N, D) times a weight each, plus a bias: a batch norm after training."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias


class ScalarBias(nn.Module):
    """Plus one number for all channels and places, as Fixup's (Zhang et al. 2019, arXiv:1901.09321)."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.full((1,), start))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class ScalarFactor(nn.Module):
    """Times one number for all channels and places, as SkipInit's (De & Smith 2020, arXiv:2002.10444) and Fixup's."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation of maps (N, C, H, W) over the channels of each position, as ConvNeXt's and torchvision's.

    Not over channels and space, which is group normalisation of one group.
    """

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)  # (N, H, W, C)
        x = functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)  # (N, C, H, W)


class StandardisedConv(nn.Module):
    """A convolution whose filters are standardised before they are used (Qiao et al. 2019, arXiv:1903.10520).

    Not a Conv2d: whoever takes its weights for what it computes with would be wrong.
    """

    def __init__(self, conv: nn.Conv2d, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.in_channels, self.out_channels, self.groups = conv.in_channels, conv.out_channels, conv.groups
        self.kernel_size, self.stride, self.dilation = conv.kernel_size, conv.stride, conv.dilation
        self.padding, self.epsilon = cast(tuple[int, ...], conv.padding), epsilon

    def standardised(self) -> Tensor:
        """The weights that it computes with, (O, I, H, W)."""
        filters = self.weight.flatten(1)[
            None
        ]  # (1, O, I * H * W): channels of one batch, which a batch norm standardises
        return functional.batch_norm(filters, None, None, training=True, eps=self.epsilon).reshape_as(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            x, self.standardised(), self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
