"""Maps and pictures of single channels on a GPU against the CPU's."""

from dataclasses import replace

import numpy as np
import pytest

from features import channels
from features.datasets import open_images
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
