"""A convolution as fast as PyTorch has it: on a CPU, its weights lie ready in the order in which oneDNN reads them.

PyTorch's own convolutions bring weights into that order anew at every call, on the way up and on the way down. The
operations that take ready weights are those that PyTorch compiles networks to. They would apply a ReLU as well, but
oneDNN's makes 0 of NaN, which is to be seen: ReLUs stay outside.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_ONEDNN = torch.ops.mkldnn
_PLAIN: tuple[str, list[float], str] = ("none", [], "")  # nothing is done to what comes out


class Convolution(nn.Conv2d):
    """A frozen convolution with weights of a precision that may be lower than float32, and its bias in float32."""

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        size, stride, padding, dilation = cast(
            tuple[tuple[int, int], ...], (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
        )
        super().__init__(
            conv.in_channels, conv.out_channels, size, stride, padding, dilation, conv.groups, False, device="meta"
        )
        self.weight = nn.Parameter(conv.weight.detach().to(dtype), requires_grad=False)
        if conv.bias is not None:
            self.bias = nn.Parameter(conv.bias.detach().float(), requires_grad=False)
        self._how = (padding, stride, dilation, conv.groups)
        # Weights for the last shape on each way: weights that were made ready for another may cost ten times the work.
        self._ready: dict[str, tuple[object, Tensor]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_ready": {}}  # which cannot be copied

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) of the weights' precision -> (N, C', H', W')."""
        if _takes_ready(x):
            return _ONEDNN._convolution_pointwise(x, self._weights_for(x), self.bias, *self._how, *_PLAIN)
        padding, stride, dilation, groups = self._how
        if self.bias is None or self.bias.dtype == x.dtype:
            return functional.conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)
        return functional.conv2d(x, self.weight, None, stride, padding, dilation, groups).add_(self.bias[:, None, None])

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """What it makes of x, with `other` added, (N, C', H', W'): in one go, before the one has left the cache."""
        if _takes_ready(x):
            return _ONEDNN._convolution_pointwise.binary(
                x, other, self._weights_for(x), self.bias, *self._how, "add", 1.0, None, [], ""
            )
        return self(x).add_(other)

    def back(self, gradient: Tensor, shape: Sequence[int]) -> Tensor:
        """The gradient of its input, which had a shape (N, C, H, W), from that of its output."""
        padding, stride, dilation, groups = self._how
        if _takes_ready(gradient):
            reach = zip(gradient.shape[2:], stride, padding, dilation, self.kernel_size, strict=True)
            least = [(side - 1) * step - 2 * pad + gap * (kernel - 1) + 1 for side, step, pad, gap, kernel in reach]
            # What the last step of the stride left over.
            more = [side - covered for side, covered in zip(shape[2:], least, strict=True)]
            how = (padding, more, stride, dilation, groups)
            pack = _ONEDNN._reorder_convolution_transpose_weight
            weights = self._made("back", (gradient.shape, shape), lambda: pack(self.weight, *how, gradient.shape))
            return _ONEDNN._convolution_transpose_pointwise(gradient, weights, None, *how, *_PLAIN)
        unseen = gradient.new_empty(tuple(shape))  # a linear layer's gradient does not depend on what came in
        found, *_ = torch.ops.aten.convolution_backward(
            gradient, unseen, self.weight, None, stride, padding, dilation, False, [0, 0], groups, [True, False, False]
        )
        return found

    def _weights_for(self, x: Tensor) -> Tensor:
        pack = _ONEDNN._reorder_convolution_weight
        return self._made("forward", x.shape, lambda: pack(self.weight, *self._how, x.shape))

    def _made(self, way: str, shape: object, pack: Callable[[], Tensor]) -> Tensor:
        kept = self._ready.get(way)
        if kept is None or kept[0] != shape:
            with torch.inference_mode(False), torch.no_grad():
                kept = self._ready[way] = shape, pack()
        return kept[1]


def _takes_ready(x: Tensor) -> bool:
    """Whether ready weights can be used: not where a graph is made, since they know no gradient."""
    return x.device.type == "cpu" and not (x.requires_grad and torch.is_grad_enabled()) and has_ready(x.dtype)


@cache
def has_ready(dtype: torch.dtype) -> bool:
    """Whether this CPU and this PyTorch take ready weights of a precision, beside a bias in float32: found by trying.

    Without AVX512 they do not in bf16.
    """
    one, little = torch.ones(1, 1, 1, 1, dtype=dtype), 2**-9  # which bf16 does not have beside 1
    how, bias = ([0, 0], [1, 1], [1, 1], 1), torch.tensor([1 + little])
    back = ([0, 0], [0, 0], [1, 1], [1, 1], 1)
    try:
        up = _ONEDNN._reorder_convolution_weight(one, *how, one.shape)
        down = _ONEDNN._reorder_convolution_transpose_weight(one, *back, one.shape)
        found = (
            _ONEDNN._convolution_pointwise(-one, up, bias, *how, *_PLAIN),
            _ONEDNN._convolution_pointwise.binary(-one, little * one, up, bias, *how, "add", 1.0, None, [], ""),
            _ONEDNN._convolution_transpose_pointwise(one, down, None, *back, *_PLAIN),
        )
    except (AttributeError, RuntimeError):
        return False
    return [float(values) for values in found] == [little, 2 * little, 1]
