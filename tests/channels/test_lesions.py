"""Networks without single channels, against plain PyTorch and against what the channels contribute."""

import numpy as np
import pytest
import torch

from features import channels, extract
from features.errors import FeatureError
from features.networks import architecture
from features.progress import finish
from features.results import provenance
from tests.channels.made import drawn_model
from tests.networks.unusual import PREACTIVATION


def batch_of(model, images):
    return torch.stack([model.spec.preprocessing(images.open(row)) for row in range(len(images))])


def logits(network, batch):
    with torch.no_grad():
        return network(batch).numpy()


def by_hand(model, layer, dropped, batch):
    """Logits of the plain network, with some channels of a layer's output set to 0."""
    with torch.no_grad():
        x = model.network.stem(batch)
        for name, block in [("stem", None), *model.network.blocks()]:
            x = x if block is None else block(x)
            if name == layer:
                x = x.clone()
                x[:, dropped] = 0
        return model.network.head(x).numpy()


@pytest.mark.parametrize("layer", ["stem", "layer1.0", "layer2.0", "layer3.0"])
@pytest.mark.parametrize("kind", ["padding", "projection", "none"])
def test_a_lesion_is_the_network_whose_channel_is_set_to_0(layer, kind, tiny_images):
    model = drawn_model(architecture.cifar(8, kind))
    batch = batch_of(model, tiny_images)
    wanted = by_hand(model, layer, [3, 7], batch)
    np.testing.assert_allclose(logits(channels.without(model, layer, [3, 7]).network, batch), wanted, rtol=1e-5)
    assert not np.allclose(wanted, logits(model.network, batch), rtol=1e-3)


def test_a_lesion_of_a_network_without_a_last_activation_is_of_its_sum(tiny_images):
    model = drawn_model(PREACTIVATION)
    batch = batch_of(model, tiny_images)
    changed = channels.without(model, "layer1.0", [2])
    np.testing.assert_allclose(logits(changed.network, batch), by_hand(model, "layer1.0", [2], batch), rtol=1e-5)


def test_what_is_extracted_of_a_network_with_a_lesion_has_no_such_channel(tiny_model, tiny_images):
    changed = finish(extract.features(channels.without(tiny_model, "layer2", [5]), tiny_images))
    intact = finish(extract.features(tiny_model, tiny_images))
    assert (changed.stages["layer2"][:, 5] == 0).all()
    np.testing.assert_array_equal(np.delete(changed.stages["layer2"], 5, 1), np.delete(intact.stages["layer2"], 5, 1))


@pytest.mark.parametrize("layer", ["layer1.0", "layer3.0"])
def test_a_channel_with_no_outgoing_weights_is_not_missed(layer, tiny_images):
    model = drawn_model(architecture.cifar(8, "projection"))
    blocks = dict(model.network.blocks())
    with torch.no_grad():
        if layer == "layer1.0":
            blocks["layer2.0"].branch.conv1.weight[:, 4] = 0
            blocks["layer2.0"].shortcut[0].weight[:, 4] = 0
        else:
            model.network.classifier.weight[:, 4] = 0
    made = finish(channels.sweep(model, tiny_images, layer, [4]))
    assert made.agreement[0] == 1
    batch = batch_of(model, tiny_images)
    np.testing.assert_allclose(
        logits(channels.without(model, layer, [4]).network, batch), logits(model.network, batch), rtol=1e-6
    )
    np.testing.assert_array_equal(made.true_probability, made.intact_true_probability)


def test_the_last_stage_without_a_channel_lacks_what_that_contributed(tiny_model, tiny_images):
    picture = tiny_images.open(0)
    parts = channels.of_picture(tiny_model, picture)
    for channel in (0, 17):
        changed = channels.of_picture(channels.without(tiny_model, "layer3", [channel]), picture)
        np.testing.assert_allclose(changed.logits, parts.logits - parts.values[:, channel], rtol=1e-5, atol=1e-5)


def test_the_intact_network_is_left_as_it_was_and_shares_its_parameters(tiny_model, tiny_images):
    network = tiny_model.network
    before = {name: values.clone() for name, values in network.state_dict().items()}
    parts = [id(module) for module in network.modules()]
    changed = channels.without(tiny_model, "layer2", [1])
    again = channels.without(changed, "stem", [2])
    finish(channels.sweep(tiny_model, tiny_images, "layer1"))
    assert [id(module) for module in network.modules()] == parts
    for name, values in network.state_dict().items():
        assert torch.equal(values, before[name])
    for each in (changed, again):
        assert {id(p) for p in each.network.parameters()} == {id(p) for p in network.parameters()}
    assert len({tiny_model.key, changed.key, again.key}) == 3
    assert provenance(changed).variant == "without channel 1 of layer2.0"
    assert provenance(again).variant == "without channel 1 of layer2.0, without channel 2 of stem"
    assert channels.without(tiny_model, "layer2", []) is tiny_model


def test_lesions_that_do_not_fit_are_refused(tiny_model, tiny_images):
    with pytest.raises(FeatureError, match="no layer layer9"):
        channels.without(tiny_model, "layer9", [0])
    with pytest.raises(FeatureError, match=r"layer1\.0 has channels from 0 to 15, but got 16"):
        channels.without(tiny_model, "layer1", [16])
    with pytest.raises(FeatureError, match="more than once"):
        finish(channels.sweep(tiny_model, tiny_images, "layer1", [3, 3]))
    with pytest.raises(FeatureError, match="no classifier"):
        finish(channels.sweep(drawn_model(architecture.cifar(8, classes=None)), tiny_images, "layer1"))
