"""Heads in files: chains of linear layers and norms, as linear layers with an activation between each two.

In eval mode a batch norm is linear too, and is taken into the linear layer before or behind it. A layer norm is not,
and is read where it comes before all else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise, takewhile

import torch
from torch import Tensor

from features.networks.containers import TensorRecord
from features.networks.layers import COUNTER, NORM, Layer
from features.networks.layout import HEAD_POOLS

EPSILON = 1e-5
TINY, ROUNDED = 1e-30, 1e-2  # the latter of means in half precision


@dataclass(frozen=True, eq=False)
class _Step:
    """A linear layer with the norms that are taken into it. activated: whether an activation follows."""

    linear: Layer
    before: tuple[Layer, ...]
    behind: tuple[Layer, ...]
    activated: bool


def inputs_of(layers: Sequence[Layer]) -> int:
    """How many features a head takes."""
    return layers[0].width if layers[0].kind == NORM else layers[0].shape[1]


def pools(layers: Sequence[Layer], channels: int) -> tuple[str, ...]:
    """What of layout.HEAD_POOLS may make a head's features of maps of so many channels, the likeliest first.

    No maximum over space is below the average. So where a head that takes both begins with a batch norm, the means that
    it keeps tell which of them come first, and features that are none of both.
    """
    fitting = [name for name, pool in HEAD_POOLS.items() if pool.features(channels) == inputs_of(layers)]
    first = layers[0]
    if inputs_of(layers) != 2 * channels or not (first.kind == NORM and first.has_statistics) or _fault(layers[:1]):
        return tuple(fitting)
    means = first.tensors["running_mean"].load().double().unflatten(0, (2, channels))  # (2, C)
    above = (means[0] - means[1]) / (means.abs().sum(0) + TINY)  # (C,), from -1 to 1
    largest = {"max": bool((above > -ROUNDED).all()), "average": bool((above < ROUNDED).all())}
    return tuple(name for name in fitting if largest[HEAD_POOLS[name].takes[0]])


def start(layers: Sequence[Layer]) -> str:
    """What a head begins with, as in Architecture.head_start, as far as its layers tell."""
    return "layer" if layers and _is_layer_norm(layers[0]) else "linear"


def _is_layer_norm(layer: Layer) -> bool:
    return layer.kind == NORM and not layer.has_statistics


def may_begin_with_an_activation(layers: Sequence[Layer]) -> bool:
    """Whether there is room for one between the batch norm that a head begins with and its first linear layer."""
    starts = len(layers) > 1 and layers[0].kind == NORM and not _is_layer_norm(layers[0])
    return starts and layers[1].kind != NORM and _gap(layers[0], layers[1], unnumbered=1) > 0


def has_no_bias(layers: Sequence[Layer]) -> bool:
    """Whether the layer that makes the logits has none."""
    linear = [layer for layer in layers if layer.kind != NORM]
    return bool(linear) and "bias" not in linear[-1].tensors and layers[-1] is linear[-1]


def may_go_around(layers: Sequence[Layer]) -> bool:
    """Whether a head may add what some of its layers make to what they are given.

    They put out as many features as they take and do not lie in one Sequential with those that follow.
    """
    linear = [layer for layer in layers if layer.kind != NORM]
    given = {linear[0].shape[1]} if linear else set()
    for layer, following in pairwise(linear):
        apart = layer.name.rpartition(".")[0] != following.name.rpartition(".")[0]
        if apart and layer.width in given:
            return True
        given.add(layer.width)
    return False


def plan(layers: Sequence[Layer]) -> tuple[int, ...]:
    """Widths of a head's linear layers, those without an activation between them as one; () without a head."""
    steps = _steps(layers)
    return tuple(step.linear.width for number, step in enumerate(steps) if step.activated or number == len(steps) - 1)


def tensors(layers: Sequence[Layer], begins: str = "linear") -> dict[str, TensorRecord]:
    """The tensors of a head's linear layers as files call them: 'fc.weight', or 'fc.0.weight', 'fc.2.weight', ...

    begins: as Architecture.head_start, which says what comes before them.
    """
    widths = plan(layers)
    if not widths:
        return {}
    if len(layers) == 1:  # as it is, whatever its precision
        return {f"fc.{own}": layers[0].tensors[own] for own in ("weight", "bias") if own in layers[0].tensors}
    inputs = layers[0].shape[-1] if layers[0].kind == NORM else layers[0].shape[1]
    records, first = {}, {"layer": 1, "activation": 2}.get(begins, 0)
    norms = tuple(takewhile(lambda layer: layer.kind == NORM, layers))
    if begins == "layer":
        records = {f"fc.0.{own}": norms[0].tensors[own] for own in ("weight", "bias")}
        layers = layers[1:]
    elif begins == "activation":
        scale = cache(partial(_scales, norms, inputs))
        for at, own in enumerate(("weight", "bias")):
            records[f"fc.0.{own}"] = TensorRecord(
                (inputs,), torch.float32, partial(_one_of, scale, 0, at), _fault(norms)
            )
        layers = layers[len(norms) :]
    made = cache(lambda: read(layers))
    for number, width in enumerate(widths):
        name = "fc" if len(widths) == 1 and not first else f"fc.{first + 2 * number}"
        for at, (own, shape) in enumerate((("weight", (width, inputs)), ("bias", (width,)))):
            records[f"{name}.{own}"] = TensorRecord(
                shape, torch.float32, partial(_one_of, made, number, at), _fault(layers)
            )
        inputs = width
    return records


def _scales(norms: Sequence[Layer], channels: int) -> list[tuple[Tensor, Tensor]]:
    """Batch norms one after the other as one scale and shift, (D,) each."""
    scale, shift = torch.ones(channels), torch.zeros(channels)
    for norm in norms:
        factor, added = _affine(norm)
        scale, shift = scale * factor, shift * factor + added
    return [(scale, shift)]


def _one_of(made: Callable[[], Sequence[tuple[Tensor, Tensor]]], number: int, at: int) -> Tensor:
    return made()[number][at]


def _fault(layers: Sequence[Layer]) -> str:
    """Why one of a head's tensors is no plain numbers, or ''."""
    records = [record for layer in layers for own, record in layer.tensors.items() if own != COUNTER]
    odd = [record.fault or str(record.dtype) for record in records if not record.is_plain]
    return odd[0] if odd else ""


def read(layers: Sequence[Layer]) -> list[tuple[Tensor, Tensor]]:
    """Weight (K, D) and bias (K,) of every linear layer of `plan`, float32."""
    made: list[tuple[Tensor, Tensor]] = []
    joined: tuple[Tensor, Tensor] | None = None
    for step in _steps(layers):
        weight, bias = _linear(step)
        if joined is not None:  # nothing lies between the two
            weight, bias = weight @ joined[0], weight @ joined[1] + bias
        joined = weight, bias
        if step.activated:
            made.append(joined)
            joined = None
    return made if joined is None else [*made, joined]


def _steps(layers: Sequence[Layer]) -> list[_Step]:
    steps: list[_Step] = []
    before: list[Layer] = []
    layers = layers[1:] if start(layers) == "layer" else layers
    for number, layer in enumerate(layers):
        if layer.kind == NORM:
            if steps and not before and _gap(layers[number - 1], layer) == 0:
                last = steps[-1]
                steps[-1] = _Step(last.linear, last.before, (*last.behind, layer), last.activated)
            else:
                before.append(layer)
            continue
        if steps:
            last = steps[-1]
            steps[-1] = _Step(last.linear, last.before, last.behind, _between(layers, last.linear, layer) > 0)
        steps.append(_Step(layer, tuple(before), (), False))
        before = []
    if before and steps:  # a norm behind everything
        last = steps[-1]
        steps[-1] = _Step(last.linear, last.before, (*last.behind, *before), False)
    return steps


def _between(layers: Sequence[Layer], first: Layer, second: Layer) -> int:
    """How many layers without parameters lie between two linear layers, by their numbers; 1 where they have none."""
    at, until = (next(n for n, layer in enumerate(layers) if layer is each) for each in (first, second))
    return sum(_gap(layers[n], layers[n + 1], unnumbered=1) for n in range(at, until))


def _gap(first: Layer, second: Layer, unnumbered: int = 0) -> int:
    """How many numbers of a Sequential lie between two of its layers; `unnumbered` where they are no such layers."""
    (path, at), (other, until) = (
        (layer.name.rpartition(".")[0], layer.name.rpartition(".")[2]) for layer in (first, second)
    )
    if path != other or not (at.isdecimal() and until.isdecimal()):
        return unnumbered
    return int(until) - int(at) - 1


def _linear(step: _Step) -> tuple[Tensor, Tensor]:
    weight = step.linear.tensors["weight"].load().float().flatten(1)  # (K, D); of a 1x1 convolution too
    stored = step.linear.tensors.get("bias")
    bias = torch.zeros(len(weight)) if stored is None else stored.load().float()
    for norm in reversed(step.before):
        scale, shift = _affine(norm)
        weight, bias = weight * scale, bias + weight @ shift
    for norm in step.behind:
        scale, shift = _affine(norm)
        weight, bias = weight * scale[:, None], bias * scale + shift
    return weight, bias


def _affine(norm: Layer) -> tuple[Tensor, Tensor]:
    """A batch norm in eval mode as x * scale + shift, (D,) each."""
    values = {own: norm.tensors[own].load().double() for own in norm.tensors if own != COUNTER}
    scale = values.get("weight", torch.ones_like(values["running_mean"])) / (values["running_var"] + EPSILON).sqrt()
    shift = values.get("bias", torch.zeros_like(scale)) - values["running_mean"] * scale
    return scale.float(), shift.float()
