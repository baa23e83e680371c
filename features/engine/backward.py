"""Takes a gradient backward through a block: from that of its output to that of its input.

Most blocks are a few linear layers and ReLUs, and what ReLUs do is known from the forward walk. So no graph is needed,
and the gradient may be of a lower precision than the activations were. That matters: rounding activations opens and
closes ReLUs, which no sum over channels makes good, while rounding the gradient leaves every ReLU as it is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from features.engine.convolution import Convolution
from features.engine.forward import Step
from features.networks.canonical import NoShortcut, PaddedShortcut, ResidualBlock


def through_block(block: ResidualBlock, inputs: Sequence[Tensor], gradient: Tensor) -> Tensor:
    """The gradient of a block's input, (N, C, H, W), from that of its pre-activation.

    block: with weights of the gradient's precision. inputs: as `forward.layer_inputs` gave them for the block's input.
    """
    branch, shortcut = through_branch(block, inputs, gradient), through_shortcut(block, inputs, gradient)
    return branch + shortcut if branch is gradient else branch.add_(shortcut)


def gate_(gradient: Tensor, output: Tensor) -> Tensor:
    """Makes the gradient before a ReLU of that behind it. output: what it put out.

    In place: new memory for maps of this size costs more than the work itself.
    """
    if gradient.dtype == output.dtype:
        return torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)
    return gradient.mul_(output > 0)


def through_activation(step: Step, gradient: Tensor) -> Tensor:
    """The gradient of a block's pre-activation, made of that of its output, which is overwritten where it can be."""
    if isinstance(step.block.activation, nn.ReLU):
        return gate_(gradient, step.output)
    assert step.total is not None  # the walk kept it
    return back(step.block.activation, step.total, gradient)


def through_branch(block: ResidualBlock, inputs: Sequence[Tensor], gradient: Tensor) -> Tensor:
    """The part of the gradient of a block's input that comes through its branch. gradient: of the pre-activation."""
    below = gradient
    for layer, given in reversed(list(zip(block.branch, inputs, strict=True))):
        if isinstance(layer, nn.ReLU):
            below = gate_(below if below is not gradient else gradient.clone(), given)
        else:
            below = back(layer, given, below)
    return below


def through_shortcut(block: ResidualBlock, inputs: Sequence[Tensor], gradient: Tensor) -> Tensor:
    """The part that comes through the shortcut."""
    return back(block.shortcut, inputs[0], gradient)


def through_pool(pool: nn.Module, maps: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of the maps (N, C, H, W) that a head's pool is given, from that of its features (N, D).

    Of averages it is the same at every place, and comes as (N, C, 1, 1).
    """
    if isinstance(pool, nn.AdaptiveAvgPool2d):
        return gradient[:, :, None, None] / (maps.shape[2] * maps.shape[3])
    return back(pool, maps, gradient[:, :, None, None])


def back(layer: nn.Module, x: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of a layer's input x from that of its output; of a linear layer, whatever the numbers in x are."""
    if isinstance(layer, nn.Identity):
        return gradient
    if isinstance(layer, nn.Sequential) and len(layer) == 1:
        return back(layer[0], x, gradient)
    if isinstance(layer, Convolution):
        return layer.back(gradient, x.shape)
    if isinstance(layer, PaddedShortcut | NoShortcut):
        below = torch.zeros_like(x, dtype=gradient.dtype)  # (N, C, H, W)
        if isinstance(layer, PaddedShortcut):
            old = gradient[:, layer.before : gradient.shape[1] - layer.after]  # the channels that are not padding
            below[:, :, :: layer.stride, :: layer.stride] = old
        return below
    # Norms that are not folded, attention, what a lesion put there: PyTorch's own graph, of this layer alone.
    with torch.inference_mode(False), torch.enable_grad():
        start = x.clone().to(gradient.dtype).requires_grad_()  # a clone, since x may have been made in inference mode
        end = layer(start)
        if not end.requires_grad:  # it puts out the same whatever comes in
            return torch.zeros_like(start)
        return torch.autograd.grad(end, start, gradient.clone())[0]
