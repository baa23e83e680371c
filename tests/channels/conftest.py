"""What several tests of channels read: a drawn network, and what its channels answered to noise."""

from typing import TYPE_CHECKING

import pytest

from features.progress import finish

if TYPE_CHECKING:
    from features.channels import Channels
    from features.networks.zoo import Model


@pytest.fixture(scope="module")
def drawn() -> "Model":
    """A CIFAR ResNet of 8 layers with drawn weights. Nobody may change it."""
    from features.networks import architecture
    from tests.channels.made import drawn_model

    return drawn_model(architecture.cifar(8), side=32)


@pytest.fixture(scope="module")
def told(drawn: "Model") -> "Channels":
    """The answers of layer2 and layer3 to 40 images of three classes."""
    from features import channels
    from tests.channels.test_reader import noise

    return finish(channels.responses(drawn, noise(), ["layer2", "layer3"]))
