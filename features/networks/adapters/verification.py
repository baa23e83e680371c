"""Compares what a network in memory computes with what its canonical form does, on a copy with other norms."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from features.errors import FeatureError
from features.networks.structure import ResidualNetwork, copy_of

SIDES = (64, 32, 224)  # px; some networks pool over squares of one size, and over one place all pools are the same
TOLERANCE = 1e-5  # relative
Reader = Callable[[nn.Module], ResidualNetwork]


def verified(source: nn.Module, readers: Iterable[Reader]) -> ResidualNetwork:
    """The first reading of a network that computes what it computes, in eval mode.

    The comparison is on a copy whose norms are drawn anew, since untrained branches often add nothing.
    Raises FeatureError, with the reason, if none does.
    """
    twin = _redrawn(copy_of(source).float().eval())
    inputs = _inputs(twin)
    wanted: list[Tensor] | None = None
    reasons: list[str] = []
    for reader in readers:
        try:
            other = reader(twin).eval()
            x, wanted = (inputs, wanted) if wanted is not None else next(_runs(twin, inputs))
        except FeatureError as error:
            reasons.append(str(error))
            continue
        if _agrees(other, x, wanted):
            return reader(source)
        reasons.append("Its parts were put together, and compute something else.")
        inputs = x
    raise FeatureError(
        f"{type(source).__name__} cannot be converted. {reasons[0] if reasons else ''} Convert a network whose "
        "children are registered in the order in which it runs them."
    )


@torch.no_grad()
def _redrawn(network: nn.Module) -> nn.Module:
    """The same network with norms of which nothing is 0 or usual, and no layer whose weights are all 0."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            if not tensor.is_floating_point() or (tensor.ndim > 1 and tensor.any()):
                continue
            drawn = torch.rand(tensor.shape, generator=generator).to(tensor.device)
            if name == "running_var" or (name == "weight" and tensor.ndim == 1):
                tensor.copy_(0.5 + drawn)
            elif name in ("weight", "bias", "running_mean"):
                tensor.copy_((drawn - 0.5) / max(1, tensor[0].numel()) ** 0.5)
    return network


def _inputs(network: nn.Module) -> Tensor:
    """(1, C, S, S) pixels of the largest side, of which smaller ones are a part."""
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    generator = torch.Generator().manual_seed(1)
    channels = first.in_channels
    return torch.randn(1, channels, max(SIDES), max(SIDES), generator=generator).to(first.weight.device)


@torch.no_grad()
def _runs(network: nn.Module, inputs: Tensor) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """The pixels of the first side that the network takes, and everything that it puts out."""
    reason = ""
    for side in SIDES:
        x = inputs[..., :side, :side].contiguous()
        try:
            yield x, list(_tensors(network(x)))
            return
        except Exception as error:  # other people's code
            reason = reason or f"{type(error).__name__}: {error}"[:200]
    raise FeatureError(f"It could not be run on images of {', '.join(map(str, SIDES))} px ({reason}).")


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, Sequence):
        for value in output:
            yield from _tensors(value)


@torch.no_grad()
def _agrees(network: ResidualNetwork, x: Tensor, wanted: Sequence[Tensor]) -> bool:
    """Whether one of the source's outputs is the network's: its logits, or of one without a head its last map."""
    try:
        walked = dict(network.walk(x))
    except RuntimeError:  # parts that do not fit each other
        return False
    outputs = (
        [walked["logits"]] if network.classifier is not None else [walked["logits"], walked[network.stage_names[-1]]]
    )
    return any(_equal(one, other) for one in outputs for other in wanted)


def _equal(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    size = other.abs().max()
    return bool(size > 0 and (one - other).abs().max() <= TOLERANCE * size)
