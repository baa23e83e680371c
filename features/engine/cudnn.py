"""cuDNN's convolutions that add a bias, a shortcut and a ReLU before they write: one pass over memory instead of four.

For float32 (TF32 too): in half precision cuDNN compiles them for every shape, and `epilogue` takes their place. cuDNN's
ReLU may make 0 of NaN, which `fusing` finds by trying.
"""

import torch
from torch import Tensor

from features.engine.convolution import Convolution


def convolve_relu(conv: Convolution, x: Tensor, bias: Tensor) -> Tensor:
    """relu(conv(x)), with a bias (C',) instead of the convolution's own."""
    padding, stride, dilation, groups = conv._how
    return torch.cudnn_convolution_relu(x, conv.weight, bias, stride, padding, dilation, groups)


def convolve_add_relu(conv: Convolution, x: Tensor, other: Tensor, bias: Tensor) -> Tensor:
    """relu(conv(x) + other), with a bias (C',) instead of the convolution's own. other: (N, C', H', W'), unchanged."""
    padding, stride, dilation, groups = conv._how
    other = other.contiguous(memory_format=torch.channels_last)  # zeros of a padded shortcut may lie otherwise
    return torch.cudnn_convolution_add_relu(x, conv.weight, other, 1.0, bias, stride, padding, dilation, groups)
