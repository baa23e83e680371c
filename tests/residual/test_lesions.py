"""Lesions against networks that are taken apart by hand, and the promise that the intact one stays as it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock

from features import extract, residual
from features.datasets import open_images
from features.datasets.labels import match_labels, matched
from features.errors import FeatureError
from features.evaluate import evaluate
from features.networks import architecture, canonical, zoo
from features.networks.recognition import architecture_of
from features.progress import finish
from features.results import provenance
from tests.random_networks import Narrow, drawn, randomise
from tests.residual.test_statistics import model_of, noise

BLOCKS = ("layer1.0", "layer2.0", "layer3.0")


def logits(net, batch):
    with torch.no_grad():
        return net(batch).numpy()


def batch_of(model, images):
    return torch.stack([model.spec.preprocessing(images.open(place)) for place in range(len(images))])


def narrow_resnet18(seed=0):
    """torchvision's own and our form of it, each with its own parameters."""
    source = drawn(Narrow, seed, block=BasicBlock, layers=[2, 2, 2, 2], num_classes=5)
    network = canonical.freeze(canonical.canonical(source))
    return source, model_of(network, architecture_of(network), 40)


def by_hand(source, block, factor):
    """torchvision's network with one branch scaled, by its last BatchNorm."""
    stage, place = block.split(".")
    norm = getattr(source, stage)[int(place)].bn2
    with torch.no_grad():
        norm.weight *= factor
        norm.bias *= factor
    return source


@pytest.mark.parametrize("block", ["layer1.1", "layer2.0", "layer4.1"])
@pytest.mark.parametrize("factor", [0.0, -1.0, 0.5, 2.0])
def test_a_lesion_is_the_network_whose_last_batchnorm_is_scaled(block, factor):
    source, model = narrow_resnet18()
    lesion = residual.without(block) if factor == 0 else residual.scaled(factor, block)
    batch = torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    found = logits(residual.lesioned(model, lesion).network, batch)
    assert not np.allclose(found, logits(model.network, batch), rtol=1e-3)
    np.testing.assert_allclose(found, logits(by_hand(source, block, factor), batch), rtol=1e-4, atol=1e-4)


def test_swapped_blocks_are_those_of_the_network_in_another_order():
    source, model = narrow_resnet18()
    batch = torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    assert [lesion.name for lesion in residual.neighbours(model.network)] == ["layer1.0 and layer1.1 swapped"]
    found = logits(residual.lesioned(model, residual.swapped("layer1.0", "layer1.1")).network, batch)
    source.layer1 = nn.Sequential(source.layer1[1], source.layer1[0])
    np.testing.assert_allclose(found, logits(source, batch), rtol=1e-5, atol=1e-5)


def test_a_block_less_in_a_plain_network_hands_on_its_input():
    shape = architecture.cifar(14, "none", classes=4)
    model = model_of(canonical.freeze(randomise(canonical.build(shape))), shape, 32)
    batch = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = logits(residual.lesioned(model, residual.without("layer2.1", "layer3.0")).network, batch)
    with torch.no_grad():
        net = model.network
        x = net.stages["layer2"][0](net.stages["layer1"](net.stem(batch)))
        x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 16, 16))  # 32 channels become 64
        wanted = net.head(net.stages["layer3"][1](x)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_branch_that_is_zero_is_not_missed(tiny_model, tiny_images):
    _, block = next(tiny_model.network.blocks())
    with torch.no_grad():
        block.branch.bn2.weight.zero_()
        block.branch.bn2.bias.zero_()
    statistics = finish(residual.statistics(tiny_model, tiny_images))
    assert (statistics.ratios[:, 0] == 0).all()
    assert np.isnan(statistics.cosines[:, 0]).all()
    found = finish(residual.sweep(tiny_model, tiny_images, [residual.without("layer1.0")]))
    assert found.agreement[0] == 1
    assert found.cosine[0] == pytest.approx(1, abs=1e-6)
    intact = batch_of(tiny_model, tiny_images)
    without = residual.lesioned(tiny_model, residual.without("layer1.0"))
    np.testing.assert_array_equal(logits(without.network, intact), logits(tiny_model.network, intact))
    assert residual.blocks(statistics)["near_zero_gammas"].tolist() == [16, 0, 0]


def test_the_intact_network_is_left_as_it_was_and_shares_its_parameters(tiny_model, tiny_images):
    net = tiny_model.network
    before = {name: values.clone() for name, values in net.state_dict().items()}
    parts = [id(module) for module in net.modules()]
    lesion = residual.scaled(-1, "layer1.0", "layer3.0")
    changed = residual.lesioned(tiny_model, lesion)
    finish(extract.features(changed, tiny_images))
    finish(residual.sweep(tiny_model, tiny_images, residual.lesions_of(net, "random")))
    assert [id(module) for module in net.modules()] == parts
    for name, values in net.state_dict().items():
        assert torch.equal(values, before[name])
    assert changed.network.stem is net.stem
    assert {id(p) for p in changed.network.parameters()} <= {id(p) for p in net.parameters()}
    assert changed.key != tiny_model.key
    assert provenance(changed).variant == lesion.name
    assert provenance(changed).weights_sha256 == tiny_model.digest


@pytest.mark.slow
def test_a_sweep_is_what_each_lesioned_network_does_by_itself():
    model, images = zoo.load("resnet20-fashion"), open_images("sample").sample(40)
    lesions = (
        residual.without("layer1.0"),
        residual.scaled(0.5, "layer2.1"),
        residual.swapped("layer3.1", "layer3.2"),
        residual.without("layer1.2", "layer3.0"),
    )
    found = finish(residual.sweep(model, images, lesions))
    intact = finish(extract.features(model, images))
    matching = match_labels(model.spec, images)
    assert found.intact_accuracy == pytest.approx(finish(evaluate(model, images)).accuracy)
    for place, lesion in enumerate(lesions):
        changed = residual.lesioned(model, lesion)
        assert found.accuracy[place] == pytest.approx(finish(evaluate(changed, images)).accuracy)
        features = finish(extract.features(changed, images))
        effect = residual.effect(intact, features, matching)
        assert effect.accuracy == pytest.approx(found.accuracy[place])
        assert found.agreement[place] == pytest.approx(effect.agreement)
        assert found.cosine[place] == pytest.approx(effect.cosine, rel=1e-4)
        probability = torch.from_numpy(logits(changed.network, batch_of(model, images))).softmax(1).numpy()
        true = probability[np.arange(40), matching.classes].mean()
        assert found.true_probability[place] == pytest.approx(true, rel=1e-4)
    assert found.table()["lesion"].tolist() == [lesion.name for lesion in lesions]


@pytest.mark.slow
def test_one_lesion_ruins_the_plain_network_and_not_its_residual_twin():
    images = open_images("sample").sample(100)
    lost = {}
    for name in ("resnet20-fashion", "plain20-fashion"):
        model = zoo.load(name)
        found = finish(residual.sweep(model, images, residual.each(model.network)))
        lost[name] = found.intact_accuracy - found.accuracy
    assert np.median(lost["resnet20-fashion"]) < 0.15
    assert np.median(lost["plain20-fashion"]) > 0.7


def test_without_labels_agreement_is_told_and_accuracy_is_not(tiny_model):
    found = finish(residual.sweep(tiny_model, noise(6, 32), residual.each(tiny_model.network)))
    assert np.isnan(found.accuracy).all()
    assert np.isnan(found.intact_accuracy)
    assert ((found.agreement >= 0) & (found.agreement <= 1)).all()


def test_random_lesions_are_drawn_by_their_seed_and_number(tiny_model):
    net = tiny_model.network
    found = residual.at_random(net, [1, 2, 3], [0, 1])
    assert found == residual.at_random(net, [1, 2, 3], [0, 1])
    assert [lesion.n_blocks for lesion in found] == [1, 1, 2, 2, 3]  # there is one way to leave out all three
    assert len({lesion.factors for lesion in found}) == len(found)
    assert all(len({block for block, _ in lesion.factors}) == lesion.n_blocks for lesion in found)
    assert {lesion.factors[0][0] for lesion in residual.at_random(net, [1], range(30))} == set(BLOCKS)
    assert residual.lesions_of(net, "random", 7) != residual.lesions_of(net, "random")
    with pytest.raises(FeatureError, match="from 1 to 3"):
        residual.at_random(net, [4], [0])


@pytest.mark.parametrize(
    ("lesion", "text"),
    [
        (residual.without("layer9.0"), "There is no block layer9.0. This network has layer1.0, layer2.0, layer3.0"),
        (residual.swapped("layer1.0", "layer2.0"), "differ in shape"),
        (residual.without("layer1.0", "layer1.0"), "named more than once"),
    ],
)
def test_lesions_that_do_not_fit_are_refused(lesion, text, tiny_model, tiny_images):
    with pytest.raises(FeatureError, match=text):
        residual.lesioned(tiny_model, lesion)
    with pytest.raises(FeatureError, match=text):
        finish(residual.sweep(tiny_model, tiny_images, [lesion]))


def test_no_lesion_and_no_classifier_are_errors(tiny_model, tiny_images):
    with pytest.raises(FeatureError, match="no lesions"):
        finish(residual.sweep(tiny_model, tiny_images, []))
    shape = architecture.cifar(8, classes=None)
    headless = model_of(canonical.freeze(canonical.build(shape)), shape, 32)
    with pytest.raises(FeatureError, match="no classifier"):
        finish(residual.sweep(headless, tiny_images, residual.each(headless.network)))
    with pytest.raises(FeatureError, match="Choose one of without"):
        residual.lesions_of(tiny_model.network, "burnt")


def test_a_lesion_of_nothing_is_the_network_itself(tiny_model):
    assert residual.lesioned(tiny_model, residual.without()) is tiny_model


def test_effects_are_of_the_same_images(tiny_model, tiny_images):
    one = finish(extract.features(tiny_model, tiny_images))
    with pytest.raises(FeatureError, match="the same images"):
        residual.effect(one, replace(one, ids=one.ids[::-1]), matched(tiny_model.spec, tiny_images))


@pytest.mark.parametrize(
    "lesion",
    [
        residual.without("layer1.0"),
        residual.without("layer1.0", "layer3.0"),
        residual.scaled(0.1, "layer1.0"),
        residual.scaled(-1e-9, "layer1.0", "layer2.0"),
        residual.swapped("layer1.0", "layer1.1"),
    ],
    ids=str,
)
def test_what_a_lesion_is_written_as_is_read_as_the_same(lesion):
    assert residual.parse(str(lesion)) == lesion


def test_a_network_with_a_lesion_is_named_so_that_it_can_be_loaded_again():
    model = zoo.load("resnet20-fashion")
    assert str(model.name) == "resnet20-fashion"
    changed = residual.lesioned(model, residual.scaled(0.5, "layer2.1"))
    assert str(changed.name) == "resnet20-fashion?lesion=scaled:0.5:layer2.1"
    assert residual.lesioned(zoo.load(changed.name), residual.parse(changed.name.lesion)).key == changed.key
    assert residual.lesioned(changed, residual.without("layer1.0")).name is None  # two lesions have no name
    drawn = residual.lesions_of(model.network, residual.RANDOM)[0]
    assert residual.lesioned(model, drawn).name is None  # which would be read as chosen by hand
    assert residual.lesioned(replace(model, name=None), residual.without("layer1.0")).name is None
