"""Lesions of blocks and of channels by their text: read back as they were written, and carried by a network's name."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from features import channels, compare, lesions, residual, saliency
from features.channels import ChannelLesion
from features.compare import with_extras
from features.errors import FeatureError
from features.networks import naming, zoo
from features.progress import finish
from features.saliency.targets import ClassTarget


@pytest.mark.parametrize("text", [
    "without:layer3.1", "without:layer3.1,layer3.2", "scaled:0.5:layer3.1", "swapped:layer3.1:layer3.2",
    "without:layer3.1:5", "without:layer3.1:17,5", "without:stem:0", "without:layer3:63",
])  # fmt: skip
def test_a_lesion_is_read_back_as_it_is_written(text):
    assert str(lesions.parse(text)) == text
    assert isinstance(lesions.parse(text), ChannelLesion) == (text.startswith("without:") and text.count(":") == 2)


@pytest.mark.parametrize("text", [
    "", "layer3.1", "without:", "without:layer3.1:", "without:layer3.1:x", "without:layer3.1:-1", "without::3",
    "without:layer3.1:1:2", "scaled:layer3.1:x", "without:layer3.1:" + "9" * 5000,
])  # fmt: skip
def test_what_is_no_lesion_is_refused_with_all_forms(text):
    with pytest.raises(FeatureError, match=r"Wanted without:BLOCK.*without:LAYER:CHANNELS"):
        lesions.parse(text)


def test_the_name_of_a_network_without_channels_loads_it_again():
    model = zoo.load("resnet20-fashion")
    changed = channels.without(model, "layer2", [5, 3])
    assert str(changed.name) == "resnet20-fashion?lesion=without:layer2.2:5,3"
    asked = naming.parse(str(changed.name))
    again = lesions.lesioned(zoo.load(replace(asked, lesion=None)), lesions.parse(asked.lesion))
    assert again.key == changed.key != model.key
    assert again.spec.name == "resnet20-fashion without channels 5, 3 of layer2.2"
    batch = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(again.network(batch), changed.network(batch))


def test_a_name_of_more_channels_than_a_files_name_can_hold_is_read():
    lesion = f"without:layer4:{','.join(map(str, range(400)))}"
    name = naming.parse(f"resnet50?lesion={lesion}")
    assert (name.name, name.weights, name.lesion) == ("resnet50", None, lesion)


def test_a_network_with_two_lesions_has_no_name():
    model = zoo.load("resnet20-fashion")
    block, channel = residual.lesioned(model, residual.without("layer1.1")), channels.without(model, "stem", [0])
    assert channels.without(block, "stem", [0]).name is None
    assert residual.lesioned(channel, residual.without("layer1.1")).name is None
    assert channels.without(channel, "layer2", [1]).name is None


def test_blocks_are_left_out_as_residual_does_it(tiny_model):
    made = lesions.lesioned(tiny_model, lesions.parse("without:layer2.0"))
    assert made.key == residual.lesioned(tiny_model, residual.without("layer2.0")).key


@pytest.mark.slow
def test_a_network_beside_itself_without_a_channel_that_nothing_reads_predicts_the_same(tiny_model, tiny_images):
    names = ("cat", "dog", "fox", *(f"other {number}" for number in range(7)))
    model = replace(tiny_model, spec=replace(tiny_model.spec, class_names=names))
    with torch.no_grad():
        model.network.classifier.weight[:, 4] = 0
    changed = channels.without(model, "layer3", [4])
    told = finish(compare.compare([model, changed], tiny_images))
    (pair,) = told.pairs
    assert pair.agreement.churn == 0
    assert (pair.agreement.first_only, pair.agreement.second_only) == (0, 0)
    assert "without channel 4 of layer3.0" in pair.second
    (measures,) = finish(with_extras(told, [model, changed], ["measures"]))
    assert len(measures.result.table())


@pytest.mark.parametrize("method", ["gradcam", "layercam"])
def test_gradients_come_through_a_layer_without_channels(method, tiny_model, tiny_images):
    """Where nothing reads them, maps of what lies below are those of the intact network."""
    with torch.no_grad():
        tiny_model.network.classifier.weight[:, 4] = 0
    changed = channels.without(tiny_model, "layer3", [4])
    pixels = tiny_model.spec.preprocessing.framed(tiny_images.open(0))[None]  # (1, C, S, S)
    intact, other = (
        finish(saliency.explain(saliency.Explainer(model), pixels, [ClassTarget(3)], method)).maps
        for model in (tiny_model, changed)
    )
    for name, values in intact.items():
        np.testing.assert_allclose(other[name], values, rtol=1e-4, atol=1e-6)
        assert values.any()
