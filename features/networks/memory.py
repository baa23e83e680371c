"""Networks from code as models: a module in memory, for every analysis, from a script or a notebook."""

import hashlib

import torch
from torch import nn

from features.errors import FeatureError
from features.networks.canonical import canonical, freeze, own_copy
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing
from features.networks.recognition import architecture_of
from features.networks.structure import ResidualNetwork
from features.networks.zoo import Model


def model_of(
    module: nn.Module, preprocessing: Preprocessing, class_names: tuple[str, ...] = (), name: str = "network"
) -> Model:
    """A model of a network in memory, as it is now: what becomes of the module later does not change it.

    preprocessing: with which it was trained. class_names: one per logit, or () for numbers.
    Raises FeatureError if it cannot be converted (`canonical`), or its channels or classes are others than these.
    """
    network = freeze(own_copy(canonical(module)))
    architecture = architecture_of(network)
    if preprocessing.channels != architecture.in_channels:
        raise FeatureError(
            f"{name} takes {architecture.in_channels} channels, but the preprocessing makes {preprocessing.channels}."
        )
    if class_names and len(class_names) != architecture.classes:
        raise FeatureError(f"{name} has {architecture.classes} classes, but got {len(class_names)} names.")
    spec = ModelSpec(name, "ResNet (from code)", architecture, preprocessing, class_names, "a module in memory", "")
    return Model(network, spec, _digest(network))


def _digest(network: ResidualNetwork) -> str:
    """Hexadecimal SHA-256 of names, kinds of numbers, shapes and numbers of all tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
