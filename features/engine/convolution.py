"""A convolution as fast as PyTorch has it, whatever part of oneDNN is there: on a CPU its weights lie ready for it."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from features.engine import onednn


class Convolution(nn.Conv2d):
    """A frozen convolution with weights of a precision that may be lower than float32, and its bias in float32.

    What is made of an input is rounded to the input's precision after the bias has been added, whichever operations
    there are. ordinary: whether it keeps to the convolutions that PyTorch itself would run.
    """

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        """conv: its weights and bias are shared where they are of that precision already."""
        size, stride, padding, dilation = cast(
            tuple[tuple[int, int], ...], (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
        )
        super().__init__(
            conv.in_channels, conv.out_channels, size, stride, padding, dilation, conv.groups, False, device="meta"
        )
        self.weight = nn.Parameter(conv.weight.detach().to(dtype), requires_grad=False)
        if conv.bias is not None:
            self.bias = nn.Parameter(conv.bias.detach().float(), requires_grad=False)
        self.ordinary = False
        self._shares = (conv,)  # whose weights these are; a tuple, since it is no part of this one
        self._how: onednn.How = (padding, stride, dilation, conv.groups)
        # Weights for the last shape in each direction: in the order for another shape they may cost ten times the work.
        self._ready: dict[str, tuple[object, Tensor]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_ready": {}, "_shares": ()}  # ready weights cannot be copied

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) of the weights' precision -> (N, C', H', W')."""
        return self._convolved(x, self.bias)

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """What it makes of x, with `other` added, (N, C', H', W'); `other` stays as it was."""
        if self._has(onednn.PLUS, x, self.bias):
            return onednn.convolve_plus(x, other, self._weights_for(x), self.bias, self._how)
        return self(x).add_(other)

    def plus_projection(self, x: Tensor, projection: "Convolution", y: Tensor) -> Tensor:
        """What it makes of x and what a projection makes of y, added, (N, C', H', W').

        Where nothing adds a tensor beside a float32 bias in one go, the projection takes over this one's bias: without
        one the two can be added before the sum is rounded.
        """
        if self.bias is not None and not self._has(onednn.PLUS, x, self.bias) and self._has(onednn.PLUS, x, None):
            both = self.bias if projection.bias is None else self.bias + projection.bias  # (C',)
            other = projection._convolved(y, both)  # (N, C', H', W')
            return onednn.convolve_plus(x, other, self._weights_for(x), None, self._how)
        return self.plus(x, projection(y))

    def back(self, gradient: Tensor, shape: Sequence[int]) -> Tensor:
        """The gradient of its input, which had a shape (N, C, H, W), from that of its output."""
        padding, stride, dilation, groups = self._how
        if self._has(onednn.BACK, gradient, None):
            reach = zip(gradient.shape[2:], stride, padding, dilation, self.kernel_size, strict=True)
            least = [(side - 1) * step - 2 * pad + gap * (kernel - 1) + 1 for side, step, pad, gap, kernel in reach]
            left_over = [side - covered for side, covered in zip(shape[2:], least, strict=True)]
            weights = self._weights_back_for(gradient, shape, left_over)
            return onednn.convolve_back(gradient, weights, left_over, self._how)  # (N, C, H, W)
        unseen = gradient.new_empty(tuple(shape))  # a linear layer's gradient does not depend on what came in
        below, *_ = torch.ops.aten.convolution_backward(
            gradient, unseen, self.weight, None, stride, padding, dilation, False, [0, 0], groups, [True, False, False]
        )
        return below

    def _convolved(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if self._has(onednn.FORWARD, x, bias):
            return onednn.convolve(x, self._weights_for(x), bias, self._how)
        if bias is None or bias.dtype == x.dtype:
            return self._plainly_convolved(x, bias)
        if self._has(onednn.FORWARD, x, None):
            return shifted(onednn.convolve(x, self._weights_for(x), None, self._how), bias)
        return shifted(self._plainly_convolved(x, None), bias)

    def _plainly_convolved(self, x: Tensor, bias: Tensor | None) -> Tensor:
        padding, stride, dilation, groups = self._how
        return functional.conv2d(x, self.weight, bias, stride, padding, dilation, groups)

    def _has(self, kind: str, x: Tensor, bias: Tensor | None) -> bool:
        """Whether an operation can be used on x: not where a graph is made, since none of them knows a gradient."""
        if self.ordinary or x.device.type != "cpu" or (x.requires_grad and torch.is_grad_enabled()):
            return False
        return onednn.has(kind, x.dtype, None if bias is None else bias.dtype)

    def _weights_for(self, x: Tensor) -> Tensor:
        if not onednn.has(onednn.ORDER, x.dtype):
            return self.weight
        return self._made("forward", x.shape, lambda: onednn.ordered(self.weight, x.shape, self._how))

    def _weights_back_for(self, gradient: Tensor, shape: Sequence[int], left_over: list[int]) -> Tensor:
        if not onednn.has(onednn.ORDER_BACK, gradient.dtype):
            return self.weight
        return self._made(
            "back",
            (gradient.shape, tuple(shape)),
            lambda: onednn.ordered_back(self.weight, gradient.shape, left_over, self._how),
        )

    def _made(self, direction: str, shape: object, make: Callable[[], Tensor]) -> Tensor:
        kept = self._ready.get(direction)
        if kept is None or kept[0] != shape:
            with torch.inference_mode(False), torch.no_grad():
                kept = self._ready[direction] = shape, make()
        return kept[1]


BELOW_ROUNDING = 1e-30  # 1 + this is 1; PyTorch 2.11 refuses a BatchNorm's epsilon of 0


def shifted(values: Tensor, bias: Tensor) -> Tensor:
    """Half-precision maps (N, C, H, W) plus a float32 bias (C,), added in float32 and rounded once.

    By a BatchNorm that does nothing else: PyTorch adds tensors of two precisions number by number. On a CPU that took
    15 times as long (8 maps of 256 x 56 x 56 in bf16, AVX2; on AMX ten times as long as the convolution itself), and on
    an H100 it made ResNet-50 a quarter slower than torchvision's.
    """
    nothing, one = torch.zeros_like(bias), torch.ones_like(bias)  # mean and variance
    return functional.batch_norm(values, nothing, one, one, bias, eps=BELOW_ROUNDING)
