"""The canonical residual network: stem -> stages of activation(shortcut(x) + branch(x)) -> head."""

import torch
from torch import nn

from features.networks.building import build
from features.networks.modules import NoShortcut, PaddedShortcut
from features.networks.structure import (
    Module,
    ResidualBlock,
    ResidualNetwork,
    copy_of,
    make_branch,
    make_head,
    published_name,
)

__all__ = [
    "NoShortcut",
    "PaddedShortcut",
    "ResidualBlock",
    "ResidualNetwork",
    "build",
    "canonical",
    "freeze",
    "make_branch",
    "make_head",
    "own_copy",
    "published_name",
]


def canonical(source: nn.Module) -> ResidualNetwork:
    """The canonical form of a residual network in memory, sharing its parameters.

    source: a ResNet, ResNeXt or Wide ResNet of torchvision's, or the body of a detector or an FCN made of one; one of
    timm's ResNet family (ResNet v2 too) or of Hugging Face's; or code of one's own that is laid out like these or like
    the CIFAR networks that people copy: a stem, stages of blocks with two or three convolutions each, a linear head.
    Its children must be registered in the order in which it runs them. Nothing is copied: training one trains the
    other.

    torchvision's logits are equal bit for bit, in the mode (train or eval) that the source is in. What others compute
    in eval mode is compared with what the canonical form computes, on a copy whose norms are drawn anew: it is equal,
    or the network is refused. Dropout and dropped paths, which do nothing in eval mode, are left out.
    Raises FeatureError, with the reason, if the network cannot be converted or the two differ.
    """
    from features.networks import adapters

    return adapters.convert(source)


def freeze(network: Module) -> Module:
    """The same network, or part of one, in eval mode with frozen parameters: what every analysis is given."""
    return network.eval().requires_grad_(False)


def own_copy(network: Module, device: torch.device | str | None = None) -> Module:
    """A frozen copy of a network or a part, in eval mode, on a device (None: where it lies).

    Without the hooks of whoever made it. Nothing is copied on a GPU for a copy that is made elsewhere.
    """
    return freeze(copy_of(network, device))
