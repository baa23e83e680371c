"""The forward walk through a fast network's blocks, keeping of each what its caller needs: no hooks, no graph.

A block is activation(shortcut(x) + branch(x)). Whoever only wants outputs gets the sum as one operation; whoever wants
the two terms, or what a gradient will need on its way back (`backward`), says so block by block, and nothing else is
kept. A walk can begin at any block, with that block's input, and end at any other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from features.engine.convolution import Convolution
from features.networks.canonical import ResidualBlock


class Parts(NamedTuple):
    """A block's two terms and their sum, its pre-activation, each (N, C, H, W)."""

    shortcut: Tensor
    branch: Tensor
    total: Tensor


@dataclass(frozen=True)
class Keep:
    """What is kept of a block beside its output: its two terms, and what each layer of its branch is given."""

    parts: bool = False
    inputs: bool = False


OUTPUT, PARTS, INPUTS = Keep(), Keep(parts=True), Keep(inputs=True)


@dataclass(frozen=True, eq=False)
class Step:
    """What one block did to a batch.

    index: its number on the walk. output: (N, C, H, W). parts: None where they were not asked for.
    inputs: what each layer of its branch was given, the block's own input first; () where they were not asked for.
    total: the pre-activation, where a gradient needs it: with an activation that is no ReLU, of which the output tells
    all.
    """

    index: int
    name: str
    block: ResidualBlock
    output: Tensor
    parts: Parts | None
    inputs: Sequence[Tensor]
    total: Tensor | None = None


def steps(
    blocks: Iterable[tuple[str, ResidualBlock]], x: Tensor, keep: Callable[[int], Keep] = lambda index: OUTPUT
) -> Iterator[Step]:
    """Walk a batch (N, C, H, W), the first block's input, through blocks with their names.

    keep: number of a block -> what is kept of it. Callers see to it that no graph is made: a generator that did would
    leave its mode with whoever it hands something to. What was kept of a step is freed as soon as the caller lets go of
    it, so `del` it at the end of a loop's body where it is large.
    """
    for index, (name, block) in enumerate(blocks):
        output, parts, inputs, total = _passed(block, x, keep(index))
        x = output
        yield Step(index, name, block, output, parts, inputs, total)
        del output, parts, inputs, total  # not to be held while the next block computes


def through(blocks: Iterable[ResidualBlock], x: Tensor) -> Tensor:
    """What comes out of the last of some blocks, (N, C', H', W'), given the first one's input (N, C, H, W)."""
    for block in blocks:
        x = output(block, x)
    return x


def output(block: ResidualBlock, x: Tensor) -> Tensor:
    """What comes out of a block, (N, C', H', W'), by fused operations where it has them (`fusing`)."""
    fused = getattr(block, "fused", None)
    if fused is not None and not (x.requires_grad and torch.is_grad_enabled()):
        values = fused(x)
        if values is not None:
            return values
    return block.activation(pre_activation(block, x))


def pre_activation(block: ResidualBlock, x: Tensor) -> Tensor:
    """shortcut(x) + branch(x), (N, C', H', W'), in memory of its own."""
    return _total(block, x, _last_input(block.branch, x))


def layer_inputs(branch: nn.Sequential, x: Tensor) -> list[Tensor]:
    """What each layer of a branch is given: x first. ReLUs work in place: what one was given is its output too, or, of
    the first layer alone, positive where that is."""
    inputs = [x]
    for layer in list(branch)[:-1]:
        inputs.append(layer(inputs[-1]))
    return inputs


def _last_input(branch: nn.Sequential, x: Tensor) -> Tensor:
    for layer in list(branch)[:-1]:
        x = layer(x)  # rebound, so that each is freed as soon as the next is there
    return x


def _passed(
    block: ResidualBlock, x: Tensor, keep: Keep
) -> tuple[Tensor, Parts | None, Sequence[Tensor], Tensor | None]:
    if keep == OUTPUT:
        return output(block, x), None, (), None
    rectified = isinstance(block.activation, nn.ReLU)
    inputs = layer_inputs(block.branch, x) if keep.inputs else ()
    below = inputs[-1] if inputs else _last_input(block.branch, x)
    if not keep.parts:
        total = _total(block, x, below)
        return block.activation(total), None, inputs, None if rectified else total
    branch, shortcut = block.branch[-1](below), block.shortcut(x)
    parts = Parts(shortcut, branch, shortcut + branch)
    total = parts.total
    if rectified:  # not in place, since the pre-activation is kept
        return torch.relu(total), parts, inputs, None
    return block.activation(total), parts, inputs, total


def _total(block: ResidualBlock, x: Tensor, below: Tensor) -> Tensor:
    """A block's pre-activation. x: the block's input; below: that of its branch's last layer."""
    last, shortcut = block.branch[-1], block.shortcut
    if not isinstance(last, Convolution):
        return shortcut(x) + last(below)  # in the layout of the shortcut, since zeros of a lesion have another
    if isinstance(shortcut, nn.Sequential) and len(shortcut) == 1 and isinstance(shortcut[0], Convolution):
        return last.plus_projection(below, shortcut[0], x)
    return last.plus(below, shortcut(x))
