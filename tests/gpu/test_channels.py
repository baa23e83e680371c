"""Maps and pictures of single channels on a GPU against the CPU's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from features import channels, engine
from features.datasets import open_images
from features.devices import device_of
from features.engine.cuda_graphs import CudaGraphEngine
from features.networks import zoo
from features.networks.canonical import own_copy
from features.progress import finish

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def model() -> zoo.Model:
    return zoo.load("resnet20-fashion")


@pytest.fixture(scope="module")
def there(model) -> zoo.Model:
    return replace(model, network=own_copy(model.network, "cuda"))


@pytest.mark.parametrize("part", channels.PARTS)
def test_maps_and_evidence_of_every_part(model, there, part):
    picture = open_images("sample").open(0)
    wanted, made = (
        channels.feature_maps(each, picture, "layer2.1", part, channels.Logit(3)) for each in (model, there)
    )
    np.testing.assert_allclose(made.values, wanted.values, rtol=1e-3, atol=1e-3 * np.abs(wanted.values).max())
    np.testing.assert_allclose(made.evidence, wanted.evidence, rtol=1e-2, atol=1e-2 * np.abs(wanted.evidence).max())


def test_pictures_as_strong_as_a_cpu_finds_them(model, there):
    wanted, made, again = (
        finish(channels.maximise(each, "layer2.2", 5, channels.Ascent(steps=128))) for each in (model, there, there)
    )
    assert made.start == pytest.approx(wanted.start, rel=1e-2)
    assert made.reached == pytest.approx(wanted.reached, rel=0.2)
    assert again.reached == pytest.approx(made.reached, rel=0.1)  # gradients are added in no fixed order


def test_answers_and_what_is_lost_without_channels(model, there):
    images = open_images("sample").sample(64)
    wanted, made = (finish(channels.responses(each, images, ["layer2", "layer3"], 4)) for each in (model, there))
    for one, other in zip(made.layers, wanted.layers, strict=True):
        np.testing.assert_allclose(one.means, other.means, rtol=1e-3, atol=1e-3 * other.means.max())
        np.testing.assert_allclose(one.top.values, other.top.values, rtol=1e-3)
    lost, lost_there = (finish(channels.sweep(each, images, "layer3", [0, 5, 9])) for each in (model, there))
    np.testing.assert_allclose(lost_there.true_probability, lost.true_probability, rtol=1e-3)


def test_a_network_without_channels_by_recorded_graphs(model, there):
    pixels = torch.randint(0, 256, (32, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made = []
    for each, engine_type in ((there, CudaGraphEngine), (model, engine.TorchEngine)):
        changed = channels.without(each, "layer2", [3, 7])
        device = str(device_of(changed.network))
        plan = engine.choose(changed.network, ["layer2", "layer3"], "mean", "fp32", device, engine.TORCH)
        runner = engine_type(changed.network, changed.spec.preprocessing, plan)
        made.append([runner(pixels) for _ in range(3)][-1])  # eager, recorded, replayed
    assert not made[0]["layer2"][:, [3, 7]].any()
    np.testing.assert_allclose(made[0]["layer3"], made[1]["layer3"], rtol=1e-3, atol=1e-3)
