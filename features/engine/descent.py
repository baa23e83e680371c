"""Takes a gradient down through a block: from that of its output to that of its input.

A block is a few linear layers and ReLUs, and what its ReLUs do is known from the way up. So no graph is needed, and
what travels down may be of a lower precision than what went up. That matters: rounding activations opens and closes
ReLUs, which no sum over channels makes good, while rounding the gradient leaves every ReLU as it is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from features.engine.layers import LowConv, how
from features.network import ResidualBlock


def ascended(branch: nn.Sequential, x: Tensor) -> list[Tensor]:
    """x, and what each layer of a branch makes of it. ReLUs work in place: what stands before one is its output too."""
    found = [x]
    for layer in branch:
        found.append(layer(found[-1]))
    return found


def descended(block: ResidualBlock, found: Sequence[Tensor], output: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of a block's input, (N, C, H, W), from that of its output, which is overwritten.

    block: with weights of the gradient's precision. found: as `ascended` gave it for the block's input; output: the
    block's.
    """
    gradient = _gate(gradient, output)
    through, over = through_branch(block, found, gradient), through_shortcut(block, found, gradient)
    return through + over if through is gradient else through.add_(over)


def gated(gradient: Tensor, output: Tensor) -> Tensor:
    """The gradient before a ReLU from that behind it. output: what it put out."""
    return _gate(gradient.clone(), output)


def _gate(gradient: Tensor, output: Tensor) -> Tensor:
    """As `gated`, in place: new memory for maps of this size costs more than the work itself."""
    if gradient.dtype == output.dtype:
        return torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)
    return gradient.mul_(output > 0)


def through_branch(block: ResidualBlock, found: Sequence[Tensor], gradient: Tensor) -> Tensor:
    """The part of the gradient of a block's input that comes through its branch. gradient: before the block's ReLU."""
    through = gradient
    for layer, before, behind in reversed(list(zip(block.branch, found[:-1], found[1:], strict=True))):
        if isinstance(layer, nn.ReLU):
            through = _gate(through if through is not gradient else gradient.clone(), behind)
        else:
            through = _back(layer, before, through)
    return through


def through_shortcut(block: ResidualBlock, found: Sequence[Tensor], gradient: Tensor) -> Tensor:
    """The part that comes through the shortcut."""
    return _back(block.shortcut, found[0], gradient)


def _back(layer: nn.Module, x: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of a linear layer's input, which depends on the input's shape alone."""
    if isinstance(layer, nn.Identity):
        return gradient
    if isinstance(layer, nn.Sequential) and len(layer) == 1:
        return _back(layer[0], x, gradient)
    if isinstance(layer, LowConv | nn.Conv2d):
        padding, stride, dilation, groups = layer.how if isinstance(layer, LowConv) else how(layer)
        shaped = x if x.dtype == gradient.dtype else torch.empty_like(x, dtype=gradient.dtype)  # values do not matter
        found, *_ = torch.ops.aten.convolution_backward(
            gradient, shaped, layer.weight, None, stride, padding, dilation, False, [0, 0], groups, [True, False, False]
        )
        return found
    with torch.inference_mode(False), torch.enable_grad():
        start = torch.zeros(x.shape, dtype=gradient.dtype, device=x.device, requires_grad=True)
        end = layer(start)
        if not end.requires_grad:  # it puts out the same whatever comes in
            return torch.zeros_like(start)
        return torch.autograd.grad(end, start, gradient.clone())[0]
