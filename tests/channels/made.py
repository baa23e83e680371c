"""Small networks with drawn weights, as models."""

from features.networks import canonical
from features.networks.architecture import Architecture
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing
from features.networks.zoo import Model
from tests.random_networks import randomise


def model_of(network: canonical.ResidualNetwork, shape: Architecture, side: int = 24) -> Model:
    preprocessing = Preprocessing(side, side, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return Model(network, ModelSpec("drawn", "", shape, preprocessing, (), "", ""), "0" * 64)


def drawn_model(shape: Architecture, side: int = 24) -> Model:
    return model_of(canonical.freeze(randomise(canonical.build(shape))), shape, side)
