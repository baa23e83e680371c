"""Modules in memory as models."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from torch.nn.utils import prune
from torchvision import models

from features.errors import FeatureError
from features.networks.catalogue import CIFAR_PREPROCESSING
from features.networks.memory import model_of
from features.saliency import ClassTarget, Explainer
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


@pytest.mark.slow
def test_the_readmes_example_runs_and_its_logits_are_those_of_its_modules():
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?memory\.model_of.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    torch.manual_seed(0)
    exec(code, names)  # the README is ours
    assert names["statistics"].n_images == 8
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    one, other = models.resnet18(num_classes=2).eval(), timm.create_model("resnet26d", num_classes=2).eval()
    with torch.inference_mode():
        assert torch.equal(names["mine"].network(x), one(x))
        torch.testing.assert_close(names["other"].network(x), other(x), rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_a_head_of_several_layers_with_weight_norm_goes_through_the_engine_and_maps():
    module = small()
    module.fc = torch.nn.Sequential(
        torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(512, 12)), torch.nn.Tanh(), torch.nn.Linear(12, 5)
    ).eval()
    model = model_of(module, CIFAR_PREPROCESSING)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    wanted = module(CIFAR_PREPROCESSING.scaled(pixels))
    maps = Explainer(model).maps(pixels, [ClassTarget(3)] * 2)
    torch.testing.assert_close(torch.from_numpy(maps.logits), wanted, rtol=1e-4, atol=1e-4)
    assert all(abs(values).max() > 0 for values in maps.maps.values())


def test_pruned_weights_are_refused_until_they_are_made_plain():
    network = drawn(models.resnet18, num_classes=3)
    prune.l1_unstructured(network.conv1, "weight", 0.5)
    network(torch.zeros(1, 3, 32, 32))
    with pytest.raises(FeatureError, match=r"prune\.remove"):
        model_of(network, CIFAR_PREPROCESSING)
    prune.remove(network.conv1, "weight")
    pixels = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(model_of(network, CIFAR_PREPROCESSING).network(pixels), network(pixels))
