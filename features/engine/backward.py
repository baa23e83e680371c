"""Takes a gradient down through a block: from that of its output to that of its input.

A block is a few linear layers and ReLUs, and what its ReLUs do is known from the way up. So no graph is needed, and
what travels down may be of a lower precision than what went up. That matters: rounding activations opens and closes
ReLUs, which no sum over channels makes good, while rounding the gradient leaves every ReLU as it is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from features.engine.convolution import Convolution
from features.networks.canonical import NoShortcut, PaddedShortcut, ResidualBlock


def ascended(branch: nn.Sequential, x: Tensor) -> list[Tensor]:
    """What each layer of a branch is given: x first. ReLUs work in place: what one was given is its output too."""
    found = [x]
    for layer in list(branch)[:-1]:
        found.append(layer(found[-1]))
    return found


def descended(block: ResidualBlock, found: Sequence[Tensor], gradient: Tensor) -> Tensor:
    """The gradient of a block's input, (N, C, H, W), from that of its pre-activation.

    block: with weights of the gradient's precision. found: as `ascended` gave it for the block's input.
    """
    through, over = through_branch(block, found, gradient), through_shortcut(block, found, gradient)
    return through + over if through is gradient else through.add_(over)


def gate_(gradient: Tensor, output: Tensor) -> Tensor:
    """Makes the gradient before a ReLU of that behind it. output: what it put out.

    In place: new memory for maps of this size costs more than the work itself.
    """
    if gradient.dtype == output.dtype:
        return torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)
    return gradient.mul_(output > 0)


def through_branch(block: ResidualBlock, found: Sequence[Tensor], gradient: Tensor) -> Tensor:
    """The part of the gradient of a block's input that comes through its branch. gradient: of the pre-activation."""
    through = gradient
    for layer, given in reversed(list(zip(block.branch, found, strict=True))):
        if isinstance(layer, nn.ReLU):
            through = gate_(through if through is not gradient else gradient.clone(), given)
        else:
            through = _back(layer, given, through)
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
    if isinstance(layer, Convolution):
        return layer.back(gradient, x.shape)
    if isinstance(layer, PaddedShortcut | NoShortcut):
        found = torch.zeros_like(x, dtype=gradient.dtype)
        if isinstance(layer, PaddedShortcut):
            taken = gradient[:, layer.before : gradient.shape[1] - layer.after]
            found[:, :, :: layer.stride, :: layer.stride] = taken
        return found
    with torch.inference_mode(False), torch.enable_grad():
        start = torch.zeros(x.shape, dtype=gradient.dtype, device=x.device, requires_grad=True)
        end = layer(start)
        if not end.requires_grad:  # it puts out the same whatever comes in
            return torch.zeros_like(start)
        return torch.autograd.grad(end, start, gradient.clone())[0]
