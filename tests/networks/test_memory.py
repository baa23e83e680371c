"""Modules in memory as models."""

from dataclasses import replace

import pytest
import torch
from torchvision import models

from features.errors import FeatureError
from features.networks.catalogue import CIFAR_PREPROCESSING
from features.networks.memory import model_of
from tests.random_networks import drawn

NAMES = tuple("abcde")


def small() -> torch.nn.Module:
    return drawn(models.resnet18, num_classes=5)


def test_a_module_becomes_a_model_with_its_logits_that_stays_as_it_is():
    module = small()
    model = model_of(module, CIFAR_PREPROCESSING, NAMES, "mine")
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = module(x)
        module.fc.weight.zero_()
        assert torch.equal(model.network(x), wanted)
    assert (model.spec.name, model.spec.class_names) == ("mine", NAMES)
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


def test_its_digest_is_of_its_weights():
    one, same = (model_of(small(), CIFAR_PREPROCESSING) for _ in range(2))
    other = small()
    with torch.no_grad():
        other.fc.bias[0] += 1
    assert one.digest == same.digest
    assert one.key == same.key
    assert model_of(other, CIFAR_PREPROCESSING).digest != one.digest


def test_channels_and_names_that_do_not_fit_are_refused():
    grey = replace(CIFAR_PREPROCESSING, mean=(0.5,), std=(0.5,))
    with pytest.raises(FeatureError, match="takes 3 channels, but the preprocessing makes 1"):
        model_of(small(), grey)
    with pytest.raises(FeatureError, match="has 5 classes, but got 2 names"):
        model_of(small(), CIFAR_PREPROCESSING, ("a", "b"))
