"""Networks beside each other: one with permuted channels, with a lesion, of another depth."""

import importlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from features import channels, extract
from features.datasets import ImageSet
from features.errors import FeatureError, ImageError
from features.networks import architecture, canonical
from features.progress import finish
from tests.channels.made import drawn_model, model_of
from tests.channels.test_reader import N, noise, opened
from tests.random_networks import randomise

ORDER = np.random.default_rng(3).permutation(64)


def permuted():
    """The drawn network whose last stage's channels are in another order, in weights alone."""
    shape = architecture.cifar(8, "projection")
    network = randomise(canonical.build(shape))
    block = dict(network.blocks())["layer3.0"]
    with torch.no_grad():
        for layer in (block.branch.conv2, block.branch.bn2, *block.shortcut):
            for values in layer.state_dict().values():
                if values.ndim:
                    values.copy_(values[ORDER].clone())
        network.classifier.weight.copy_(network.classifier.weight[:, ORDER].clone())
    return replace(model_of(canonical.freeze(network), shape, 32), digest="1" * 64)


@pytest.fixture(scope="module")
def models():
    return drawn_model(architecture.cifar(8, "projection"), 32), permuted()


def test_permuted_channels_are_found_again_and_all_others_are_themselves(models):
    made = finish(channels.beside(*models, noise()))
    assert [layer.name for layer in made.layers] == ["stem", "layer1", "layer2", "layer3"]
    assert made.names == ("drawn (1)", "drawn (2)")
    for layer in made.layers:
        forward, _ = layer.matches
        varies = forward.channels >= 0
        wanted = np.arange(len(varies)) if layer.name != "layer3" else np.argsort(ORDER)
        assert forward.channels[varies].tolist() == wanted[varies].tolist()
        np.testing.assert_allclose(forward.correlations[varies], 1, atol=1e-5)
        assert forward.mutual[varies].all()


def test_the_pictures_of_a_pair_are_those_with_the_largest_means(models):
    made = finish(channels.beside(*models, noise(), ["layer3"]))
    read = finish(extract.features(models[0], noise())).stages["layer3"]
    top = made.layer("layer3").matches[0].top
    np.testing.assert_allclose(read[top, np.arange(64)[:, None]], -np.sort(-read.T)[:, : top.shape[1]], rtol=1e-4)


def test_a_network_without_a_channel_is_itself_but_for_that_channel(models):
    changed = channels.without(models[0], "layer2", [7])
    made = finish(channels.beside(models[0], changed, noise(), ["layer1", "layer2"]))
    second = made.layer("layer2").matches[1]
    assert second.channels[7] == -1
    assert np.isnan(second.correlations[7])
    rest = np.delete(np.arange(32), 7)
    assert np.isin(second.channels[rest], [*rest, -1]).all()
    summary = made.summary()
    here, there = (summary[(summary["layer"] == "layer2") & (summary["network"] == name)] for name in made.names)
    assert there["constant"].item() == here["constant"].item() + 1
    assert made.names == ("drawn", "drawn without channel 7 of layer2.0")


def test_networks_of_other_depths_and_without_a_classifier_are_compared_by_stages(models):
    deeper = drawn_model(architecture.cifar(14, classes=None), 32)
    made = finish(channels.beside(models[0], deeper, noise()))
    assert made.layer("layer2").layers == ("layer2.0", "layer2.1")
    with pytest.raises(FeatureError, match=r"no layer layer2\.1"):
        finish(channels.beside(models[0], deeper, noise(), ["layer2.1"]))
    with pytest.raises(FeatureError, match="layer9 was not compared, only stem, layer1"):
        made.layer("layer9")


def test_the_table_has_a_row_for_each_channel_of_both_and_the_facts_are_json(models):
    made = finish(channels.beside(*models, noise(), ["stem", "layer3"]))
    table = made.table()
    assert table.groupby(["layer", "network"], sort=False).size().tolist() == [16, 16, 64, 64]
    forward, back = made.layer("layer3").matches
    rows = table[(table["layer"] == "layer3") & (table["network"] == "drawn (2)")]
    assert rows["match"].fillna(-1).tolist() == back.channels.tolist()
    assert {*rows["beside"]} == {"drawn (1)"}
    facts = json.loads(json.dumps(made.as_dict(), allow_nan=False))
    assert facts["layers"][2]["median"] == pytest.approx(forward.median)
    assert [each["images_digest"] for each in facts["provenance"]] == [noise().digest] * 2


def test_images_that_cannot_be_read_count_for_neither_and_large_sets_are_sampled(models, monkeypatch):
    def damaged(row):
        if row == 7:
            raise ImageError("damaged")
        return opened(row)

    images = ImageSet("noise", tuple(f"{row}.png" for row in range(N)), None, (), "1" * 64, damaged)
    made = finish(channels.beside(*models, images, ["stem"]))
    assert made.n_images == N - 1
    assert not (made.layers[0].matches[0].top == 7).any()
    monkeypatch.setattr(importlib.import_module("features.channels.beside"), "SAMPLE", 10)
    few = finish(channels.beside(*models, noise(), ["stem"]))
    assert few.n_images == 10
    assert {*few.layers[0].matches[0].top.ravel().tolist()} <= {*np.random.default_rng(0).permutation(N)[:10].tolist()}
