"""Formulas of class activation maps: what each channel is worth at each place, from activations and gradients.

Each takes an activation A (N, C, H, W) and its gradient G of the same shape, and gives weights (N, C, 1, 1) or
(N, C, H, W). The map is the sum over channels of weights times A, see `methods.combined`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Weights = Callable[[Tensor, Tensor], Tensor]


def gradcam(a: Tensor, g: Tensor) -> Tensor:
    """The mean of the gradient over space."""
    return g.mean((2, 3), keepdim=True)  # (N, C, 1, 1)


def hirescam(a: Tensor, g: Tensor) -> Tensor:
    """The gradient itself."""
    return g


def gradcam_plus_plus(a: Tensor, g: Tensor) -> Tensor:
    """Equation 19 of Chattopadhay et al. 2018 for the logit's exponential, with its common factors cancelled.

    alpha = g^2 / (2 g^2 + g^3 sum(A)) = 1 / (2 + g sum(A)), and 0 where g or the denominator is 0, as in the paper;
    weights = sum over space of alpha relu(g). Cancelled, nothing is squared that could underflow, and no epsilon is
    needed that would swamp small gradients. Being of exp(logit), the formula is not homogeneous in g: logits times a
    constant give another map, as exact as the first (tested from 1e-4 to 1e4).
    """
    denominator = 2 + g * a.sum((2, 3), keepdim=True)  # (N, C, H, W)
    alpha = torch.where((g != 0) & (denominator != 0), 1 / denominator, torch.zeros_like(g))
    return (alpha * g.relu()).sum((2, 3), keepdim=True)  # (N, C, 1, 1)


def xgradcam(a: Tensor, g: Tensor) -> Tensor:
    """The gradient averaged over space with the activation as weights; 0 where a channel sums to 0.

    Ill-conditioned where that sum is nearly 0, as it may be before a ReLU: in float32 such maps are good to 1 %.
    """
    total = a.sum((2, 3), keepdim=True)  # (N, C, 1, 1)
    return torch.where(total != 0, (g * a).sum((2, 3), keepdim=True) / total, torch.zeros_like(total))


def layercam(a: Tensor, g: Tensor) -> Tensor:
    """The positive part of the gradient, place by place."""
    return g.relu()


def eigencam(a: Tensor, g: Tensor) -> Tensor:
    """The first right singular vector of A as a matrix of places times channels; the gradient is not used.

    Not centred, as in the paper. A singular vector has no sign of its own: here its map sums to a positive number.
    """
    matrix = a.flatten(2).transpose(1, 2)  # (N, H W, C)
    vector = torch.linalg.svd(matrix, full_matrices=False).Vh[:, 0]  # (N, C)
    total = torch.einsum("nc,npc->n", vector, matrix)
    return torch.where(total < 0, -1.0, 1.0)[:, None, None, None] * vector[:, :, None, None]  # (N, C, 1, 1)
