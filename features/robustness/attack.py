"""Projected gradient descent: the worst picture within a ball round each (Madry et al. 2018, arXiv:1706.06083).

Distances are of pixels from 0 to 1. One step of the ball's radius from the picture itself is the fast gradient sign
method (Goodfellow et al. 2015, arXiv:1412.6572), or of l2 its like.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from features.registry import Registry

TINY = 1e-12  # no gradient at all stays none


@dataclass(frozen=True)
class Norm:
    """A way to measure how far a picture (N, C, H, W) is from another.

    direction: of the steepest rise within a step of length 1, given a gradient. projected: of differences the nearest
    ones within a radius. drawn: differences within a radius of 1, all as likely, of normal numbers (N, C, H, W) and
    uniform ones (N, 1, 1, 1) in [0, 1]. epsilons: the radii that are usual.
    """

    name: str
    title: str
    direction: Callable[[Tensor], Tensor]
    projected: Callable[[Tensor, float], Tensor]
    drawn: Callable[[Tensor, Tensor], Tensor]
    epsilons: tuple[float, ...]


def lengths(differences: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, 1, 1, 1), Euclidean."""
    return differences.flatten(1).norm(dim=1)[:, None, None, None]


def _in_a_cube(normal: Tensor, _: Tensor) -> Tensor:
    return 2 * torch.special.ndtr(normal) - 1


def _in_a_ball(normal: Tensor, uniform: Tensor) -> Tensor:
    return normal / lengths(normal) * uniform ** (1 / normal[0].numel())


NORMS = Registry(
    "norm of an attack",
    (
        Norm(
            "linf", "largest change of a pixel", torch.sign,
            lambda differences, radius: differences.clamp(-radius, radius), _in_a_cube,
            (1 / 255, 2 / 255, 4 / 255, 8 / 255),
        ),
        Norm(
            "l2", "Euclidean length of the change", lambda gradient: gradient / lengths(gradient).clamp_min(TINY),
            lambda differences, radius: differences * (radius / lengths(differences).clamp_min(TINY)).clamp_max(1),
            _in_a_ball, (0.125, 0.25, 0.5, 1.0),
        ),
    ),
)  # fmt: skip


def pgd(
    loss: Callable[[Tensor], Tensor], pixels: Tensor, norm: Norm, epsilon: float, steps: int, step: float,
    start: Tensor | None = None,
) -> Iterator[Tensor]:  # fmt: skip
    """Pictures whose loss rises step by step, the start first; the last one is the attack.

    loss: pictures (N, C, H, W) -> (N,), each of its own picture alone. pixels: the pictures, from 0 to 1. start:
    differences to begin with, within the ball; None for none. Every picture that comes out is within the ball of radius
    epsilon and from 0 to 1: cutting off what lies beyond brings no pixel further from where it was.
    """
    x = pixels if start is None else (pixels + epsilon * start).clamp(0, 1)
    yield x
    for _ in range(steps):
        with torch.enable_grad():
            at = x.detach().clone().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(at).sum(), at)
        moved = x + step * norm.direction(gradient)
        x = (pixels + norm.projected(moved - pixels, epsilon)).clamp(0, 1)
        yield x
