"""What follows a half-precision convolution on a GPU, in one pass over its output: bias, shortcut and ReLU.

By a kernel of Triton, which comes with PyTorch for NVIDIA's and AMD's GPUs. It is compiled once for all shapes, within
a second or two, where cuDNN compiles its fused operations in half precision for every shape: a ResNet-50's first batch
took 36 s on an H200. What is added is added in float32 and rounded once, and NaN stays NaN.
"""

import torch
from torch import Tensor
from torch.nn import functional

from features.engine.convolution import Convolution

BLOCK = 1024  # numbers that one program works on


def convolve_relu(conv: Convolution, x: Tensor, bias: Tensor) -> Tensor:
    """relu(conv(x)), with a bias (C',) float32 instead of the convolution's own."""
    return add_relu(_convolved(conv, x), bias, None)


def convolve_add_relu(conv: Convolution, x: Tensor, other: Tensor, bias: Tensor) -> Tensor:
    """relu(conv(x) + other), with a bias (C',) instead of the convolution's own. other: (N, C', H', W'), unchanged."""
    return add_relu(_convolved(conv, x), bias, other)


def add_relu(values: Tensor, bias: Tensor, other: Tensor | None) -> Tensor:
    """relu(values + bias + other) in the place of values, which are returned.

    values: (N, C, H, W), channels last. bias: (C,) float32. other: as values, unchanged.
    Raises RuntimeError where Triton is not installed or cannot compile.
    """
    total = values.numel()
    if not total:
        return values
    try:
        from features.engine import triton_kernels
    except ImportError as error:
        raise RuntimeError(f"Triton cannot be imported: {error}") from error
    if other is not None:
        other = other.contiguous(memory_format=torch.channels_last)  # zeros of a padded shortcut may lie otherwise
    with torch.cuda.device_of(values):
        triton_kernels.add_relu[(-(-total // BLOCK),)](
            values, bias, values if other is None else other, total, values.shape[1], other is not None, BLOCK
        )
    return values


def _convolved(conv: Convolution, x: Tensor) -> Tensor:
    padding, stride, dilation, groups = conv._how
    values = functional.conv2d(x, conv.weight, None, stride, padding, dilation, groups)
    return values.contiguous(memory_format=torch.channels_last)  # which it is, but where a library lays it otherwise
