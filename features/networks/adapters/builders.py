"""Builds networks that an architecture can only describe, by the code and the name that it gives: those of timm."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from features.errors import FeatureError
from features.networks.architecture import Architecture
from features.networks.layout import AVERAGE, HEAD_POOLS
from features.networks.recognition import CODE, architecture_of
from features.networks.structure import ResidualNetwork

TIMM = "timm:"
FAMILIES = ("resnet", "resnetv2", "sknet")  # modules of timm


def built(architecture: Architecture) -> ResidualNetwork:
    """The canonical network, with new weights. Raises FeatureError if there is none by that name, or another."""
    if architecture.builder == CODE:
        raise FeatureError("This network was made in code and cannot be built again. Convert the module in memory.")
    network = _converted(source(architecture))
    if architecture_of(network, architecture.builder) != architecture:
        raise FeatureError(f"{architecture.builder[:80]} is another network than the one described. Give a whole file.")
    return network


def source(architecture: Architecture) -> nn.Module:
    """timm's own module of a network that is built by name."""
    name = architecture.builder.removeprefix(TIMM)
    if not architecture.builder.startswith(TIMM) or name not in names():
        raise FeatureError(f"No network can be built by {architecture.builder[:80]!r}. Wanted 'timm:' and a name.")
    pool = HEAD_POOLS[architecture.head_pool].timm
    if not pool:
        raise FeatureError(f"timm has no pool of the kind {architecture.head_pool!r} before a head.")
    arguments = {} if architecture.head_pool == AVERAGE else {"global_pool": pool}
    return make(name, architecture.classes, architecture.in_channels, arguments)


def make(
    name: str, classes: int | None, in_channels: int = 3, arguments: Mapping[str, Any] = MappingProxyType({})
) -> nn.Module:
    """A network of timm's without its weights: nothing is fetched. name: one of `names`. arguments: of timm's own."""
    import timm

    return timm.create_model(name, pretrained=False, num_classes=classes or 0, in_chans=in_channels, **arguments)


@cache
def names() -> tuple[str, ...]:
    """Every network of timm's ResNet family, without the tags of its weights."""
    import timm

    return tuple(name for family in FAMILIES for name in timm.list_models(module=family))


def _converted(module: nn.Module) -> ResidualNetwork:
    from features.networks.adapters import convert

    return convert(module)


def described(name: str, classes: int | None, arguments: Mapping[str, Any] = MappingProxyType({})) -> Architecture:
    """The architecture of one of timm's networks, which has it built by timm where it says less than all."""
    with torch.device("meta"):
        network = _converted(make(name, classes, arguments=arguments))
    return architecture_of(network, f"{TIMM}{name}")


def names_in_timm(architecture: Architecture) -> dict[str, str]:
    """Canonical name of each tensor of a network that is built by name -> its name in timm's files."""
    with torch.device("meta"):
        module = source(architecture)
        network = _converted(module)
    theirs = {id(tensor): name for name, tensor in module.state_dict(keep_vars=True).items()}
    return {name: theirs[id(tensor)] for name, tensor in network.state_dict(keep_vars=True).items()}


@cache
def megabytes(architecture: Architecture) -> float:
    """How large a network's weights are in float32, in MiB."""
    from features.networks.building import build

    with torch.device("meta"):
        network = build(architecture)
    return sum(tensor.numel() for tensor in network.state_dict().values()) * 4 / 2**20
