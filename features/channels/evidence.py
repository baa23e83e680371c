"""What each position of one picture's maps says for a class: the gradient of its logit, taken down to a layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from features.engine import FastNetwork
from features.engine.backward import back, through_activation, through_block, through_pool
from features.engine.forward import Step
from features.errors import FeatureError
from features.networks.zoo import Model
from features.predictions import class_logits
from features.results import finite


@dataclass(frozen=True)
class Logit:
    """What channels are asked to speak for: a class's logit, or by how much it exceeds another's.

    index: None for the class that is predicted. against: None for no other.
    """

    index: int | None = None
    against: int | None = None


@dataclass(frozen=True, eq=False)
class Slope:
    """A logit's gradient at a layer. name: the logit's, in words. value: the logit. gradient: (1, C, H, W)."""

    name: str
    value: float
    gradient: Tensor


def slope(model: Model, network: FastNetwork, steps: Sequence[Step], lowest: int, before: bool, logit: Logit) -> Slope:
    """The gradient of a logit at what the block of number `lowest` puts out, or at the stem's output for -1.

    steps: of one picture, from that block to the last, with what a gradient needs. before: at the block's sum, before
    its activation. Nothing that made it may record a graph.
    Raises FeatureError for classes that the network does not have, and for NaN or infinite logits.
    """
    output, classifier = steps[-1].output, network.classifier
    assert classifier is not None  # the caller needed one
    features = network.pooled(output)  # (1, D)
    raw = finite(classifier(features), model)  # (1, K), or (1, 1) of two classes
    logits = class_logits(raw, model.spec.outputs)[0]  # (K,)
    index, against = _classes(model, logits, logit)
    direction = torch.zeros_like(logits)
    direction[index] = 1
    if against is not None:
        direction[against] = -1
    # One logit speaks for the second class, and as much against the first.
    along = direction[1:] - direction[:1] if raw.shape[1] < len(direction) else direction  # (K,) or (1,)
    value = float(raw[0].double() @ along.double())
    gradient = _at_the_top(network, output, back(classifier, features, along[None]))
    for step in reversed(steps):
        if step.index == lowest:
            gradient = through_activation(step, gradient) if before else gradient
            break
        gradient = through_block(step.block, step.inputs, through_activation(step, gradient))
    name = model.spec.class_name(index)
    return Slope(name if against is None else f"{name} against {model.spec.class_name(against)}", value, gradient)


def _classes(model: Model, logits: Tensor, logit: Logit) -> tuple[int, int | None]:
    """The classes that a logit is of. logits: (K,)."""
    index = int(logits.argmax()) if logit.index is None else logit.index
    for each in (index, logit.against):
        if each is not None and not 0 <= each < len(logits):
            raise FeatureError(f"{model.spec.name} has classes from 0 to {len(logits) - 1}, but got {each}.")
    if index == logit.against:
        raise FeatureError(f"{model.spec.class_name(index)} is set against itself. Name two different classes.")
    return index, logit.against


def _at_the_top(network: FastNetwork, output: Tensor, features: Tensor) -> Tensor:
    """The gradient of the last block's output (1, C, H, W), in memory of its own, from that of the features (1, D)."""
    pooled = network.neck(output.float()) if len(network.neck) else output
    gradient = through_pool(network.pool, pooled, features).expand(pooled.shape)
    if len(network.neck):
        gradient = back(network.neck, output.float(), gradient)
    return torch.empty_like(output).copy_(gradient)
