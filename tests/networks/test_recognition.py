"""What is read off a network in memory is what it was built of."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from features.errors import FeatureError
from features.networks.architecture import Architecture, cifar
from features.networks.canonical import PaddedShortcut, build
from features.networks.catalogue import TORCHVISION
from features.networks.recognition import architecture_of
from tests.networks.unusual import BASIC, UNUSUAL


def empty(architecture: Architecture) -> nn.Module:
    with torch.device("meta"):
        return build(architecture)


@pytest.mark.parametrize(
    "architecture",
    [
        *UNUSUAL.values(),
        *TORCHVISION.values(),
        cifar(20),
        cifar(20, "projection"),
        cifar(20, "none"),
        cifar(8, classes=None),
    ],
)
def test_a_network_tells_the_architecture_that_it_was_built_of(architecture):
    assert architecture_of(empty(architecture)) == architecture


def changed(change) -> nn.Module:
    network = empty(BASIC)
    change(network)
    return network


@pytest.mark.parametrize(
    "change",
    [
        lambda network: network.stages["layer1"][0].branch.add_module("extra", nn.Conv2d(8, 8, 1)),
        lambda network: setattr(network.stages["layer1"][0].branch, "conv1", nn.Conv2d(8, 8, 3, padding=1, bias=True)),
        lambda network: setattr(network.stages["layer1"][0].branch.bn1, "eps", 1e-3),
        lambda network: setattr(network.stages["layer2"][1], "shortcut", PaddedShortcut(16, 16, 1)),
        lambda network: setattr(network.stages["layer2"][1], "activation", nn.SiLU()),
        lambda network: setattr(
            network.stem, "conv1", nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect", bias=False)
        ),
    ],
    ids=["extra layer", "one bias", "one epsilon", "one shortcut", "one activation", "mirrored padding"],
)
def test_a_network_that_no_architecture_says_all_of_is_only_described(change):
    architecture = architecture_of(changed(change))
    assert architecture.builder == "code"
    assert (architecture.blocks, architecture.outputs, architecture.classes) == (BASIC.blocks, BASIC.outputs, 5)
    with pytest.raises(FeatureError, match="made in code"):
        build(architecture)


def test_it_says_who_builds_it():
    network = changed(lambda network: network.stages["layer1"][0].branch.add_module("extra", nn.Conv2d(8, 8, 1)))
    assert architecture_of(network, "timm:something").builder == "timm:something"
    assert architecture_of(empty(BASIC), "timm:something") == replace(BASIC)
