"""What channels add to logits: with the biases they are the logits of the plain network."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from features import channels, extract
from features.channels import last_stage
from features.errors import FeatureError
from features.networks import architecture
from features.progress import finish
from tests.channels.made import drawn_model
from tests.networks.unusual import BASIC, BOTTLENECK, PREACTIVATION, UNUSUAL

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)
HEADS = {
    "basic": BASIC,
    "bottleneck": BOTTLENECK,
    "pre-activation": PREACTIVATION,
    **{
        name: UNUSUAL[name]
        for name in (
            "maxima",
            "maxima mixed with averages",
            "maxima before averages",
            "averages before maxima",
            "pre-activation with maxima",
            "one logit",
        )
    },
}


@pytest.mark.parametrize("name", HEADS)
def test_with_the_biases_they_sum_to_the_logits(name):
    model = drawn_model(HEADS[name])
    with torch.no_grad():
        wanted = model.network(model.spec.preprocessing(PICTURE)[None])[0].numpy()
    made = channels.of_picture(model, PICTURE)
    np.testing.assert_allclose(made.values.sum(1) + made.biases, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(made.logits, wanted, rtol=1e-4, atol=1e-4)
    assert made.values.shape == (len(wanted), HEADS[name].features)
    assert len(made.class_names) == len(wanted)


def test_each_is_the_mean_over_positions_times_the_weight():
    model = drawn_model(BASIC)
    with torch.no_grad():
        *_, (_, maps) = model.network.trunk(model.spec.preprocessing(PICTURE)[None])
        wanted = maps[0].mean((1, 2)) * model.network.classifier.weight  # (K, C)
    np.testing.assert_allclose(channels.of_picture(model, PICTURE).values, wanted, rtol=1e-4, atol=1e-5)


def test_maxima_and_means_of_one_channel_count_together():
    model = drawn_model(UNUSUAL["maxima before averages"])
    with torch.no_grad():
        *_, (_, maps) = model.network.trunk(model.spec.preprocessing(PICTURE)[None])
        of_maxima, of_means = model.network.classifier.weight.chunk(2, dim=1)
        wanted = maps[0].amax((1, 2)) * of_maxima + maps[0].mean((1, 2)) * of_means
    np.testing.assert_allclose(channels.of_picture(model, PICTURE).values, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_the_last_blocks_means_are_what_the_classifier_sees_where_it_says_so(name):
    model = drawn_model(HEADS[name])
    with torch.no_grad():
        *_, (_, maps) = model.network.trunk(model.spec.preprocessing(PICTURE)[None])
    wanted = channels.of_picture(model, PICTURE).values
    same = maps.shape[1] == wanted.shape[1] == model.network.classifier.in_features and np.allclose(
        channels.contributions(model, maps.mean((2, 3)).numpy()).values, wanted, rtol=1e-4, atol=1e-5
    )
    assert last_stage.is_sum_of_means(model) == same


def test_over_images_they_sum_to_the_mean_logits(tiny_model, tiny_images):
    features = finish(extract.features(tiny_model, tiny_images))
    made = channels.contributions(tiny_model, features.stages["pool"])
    batch = torch.stack([tiny_model.spec.preprocessing(tiny_images.open(row)) for row in range(12)])
    with torch.no_grad():
        wanted = tiny_model.network(batch).mean(0).numpy()
    np.testing.assert_allclose(made.logits, wanted, rtol=1e-3, atol=1e-4)
    answers = finish(channels.responses(tiny_model, tiny_images, ["layer3"])).layer("layer3")
    np.testing.assert_allclose(channels.contributions(tiny_model, answers.means).values, made.values, atol=1e-5)


def test_the_table_has_a_row_for_each_class_and_channel_and_the_facts_are_json():
    made = channels.of_picture(drawn_model(BASIC), PICTURE)
    table = made.table()
    assert len(table) == made.values.size
    assert table["contribution"][16 * 3 + 2] == made.values[3, 2]
    assert table["class"][16 * 3 + 2] == "3"
    facts = json.loads(json.dumps(made.as_dict()))
    assert facts["classes"][3]["logit"] == pytest.approx(made.logits[3])


def test_heads_that_are_no_sums_over_channels_are_refused():
    with pytest.raises(FeatureError, match="several layers"):
        channels.of_picture(drawn_model(UNUSUAL["head of two layers"]), PICTURE)
    with pytest.raises(FeatureError, match="no classifier"):
        channels.of_picture(drawn_model(architecture.cifar(8, classes=None)), PICTURE)
    with pytest.raises(FeatureError, match=r"row of 16 pooled features, but got an array of \(3, 15\)"):
        channels.contributions(drawn_model(BASIC), np.zeros((3, 15), np.float32))
    with pytest.raises(FeatureError, match="at least one row"):
        channels.contributions(drawn_model(replace(BASIC)), np.zeros((0, 16), np.float32))
