"""A network with one logit is, in every analysis, its twin with two logits of which the first is 0."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from features import engine, extract, faithfulness, residual, saliency
from features.datasets import ImageSet
from features.evaluate import evaluate
from features.networks import architecture, canonical, catalogue, zoo
from features.networks.card import ModelSpec
from features.progress import finish
from features.saliency import ClassTarget, Explainer
from features.store import open_features
from tests.random_networks import randomise

PETS = ("cat", "dog")


@pytest.fixture
def pets(tiny_images) -> ImageSet:
    return replace(tiny_images.take(range(8)), class_names=PETS)


def model_of(classifier: nn.Linear) -> zoo.Model:
    """The same drawn trunk under a classifier."""
    shape = architecture.cifar(8, classes=classifier.out_features)
    network = randomise(canonical.build(shape))
    network.head.fc = classifier
    spec = ModelSpec("pets", "", shape, catalogue.CIFAR_PREPROCESSING, PETS, "", "")
    return zoo.Model(canonical.freeze(network), spec, "0" * 64)


@pytest.fixture
def one() -> zoo.Model:
    fc = nn.Linear(64, 1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        fc.weight.copy_(torch.randn(1, 64, generator=generator) / 4)
        fc.bias.zero_()
    return model_of(fc)


@pytest.fixture
def two(one) -> zoo.Model:
    fc = nn.Linear(64, 2)
    with torch.no_grad():
        fc.weight.copy_(torch.cat([torch.zeros(1, 64), one.network.classifier.weight]))
        fc.bias.zero_()
    return model_of(fc)


def pixels_of(model: zoo.Model, images: ImageSet) -> torch.Tensor:
    return torch.stack([model.spec.preprocessing.framed(images.open(row)) for row in range(len(images))])


def test_the_twins_share_their_trunk(one, two):
    for name, values in one.network.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(values, two.network.state_dict()[name])


def test_features_in_memory_and_in_a_folder_tell_the_same_predictions(one, two, pets, tmp_path):
    found = finish(extract.features(one, pets)).table(top=2)
    wanted = finish(extract.features(two, pets)).table(top=2)
    assert found[["label", "pred", "pred_2"]].equals(wanted[["label", "pred", "pred_2"]])
    np.testing.assert_allclose(found["confidence"], wanted["confidence"], rtol=1e-5)
    plan = engine.choose(one.network, precision="fp32", device="cpu", engine="torch")
    finish(extract.to_folder(one, pets, plan, tmp_path / "out"))
    opened = open_features(tmp_path / "out").table()
    assert opened["pred"].tolist() == wanted["pred"].tolist()
    np.testing.assert_allclose(opened["confidence"], wanted["confidence"], rtol=1e-5)


def test_scores_are_the_same(one, two, pets):
    found, wanted = (finish(evaluate(model, pets)) for model in (one, two))
    assert found.class_names == PETS
    assert found.confusion.tolist() == wanted.confusion.tolist()
    assert (found.accuracy, found.top5, found.macro_f1) == (wanted.accuracy, 1, wanted.macro_f1)


def test_lesions_and_heads_are_counted_the_same(one, two, pets):
    lesions = residual.each(one.network)
    found, wanted = (finish(residual.sweep(model, pets, lesions)) for model in (one, two))
    for name in ("accuracy", "true_probability", "agreement"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-5, err_msg=name)
    assert found.intact_true_probability < 1  # which a softmax of one logit would be
    found, wanted = (finish(residual.statistics(model, pets)) for model in (one, two))
    np.testing.assert_array_equal(found.head_accuracy, wanted.head_accuracy)


def test_gradients_of_the_loss_are_the_same(one, two, pets, monkeypatch):
    monkeypatch.setattr(sys.modules["features.residual.gradient_paths"], "ALL", 3)
    found, wanted = (finish(residual.paths(model, pets)) for model in (one, two))
    assert found.single.min() > 0
    np.testing.assert_allclose(found.single, wanted.single, rtol=1e-4)
    np.testing.assert_allclose(found.together, wanted.together, rtol=1e-4)


def test_maps_of_its_class_are_the_same_and_of_the_other_their_negative(one, two, pets):
    pixels = pixels_of(one, pets)[:3]
    second = Explainer(one).maps(pixels, [ClassTarget(1)] * 3)
    first = Explainer(one).maps(pixels, [ClassTarget(0)] * 3)
    wanted = Explainer(two).maps(pixels, [ClassTarget(1)] * 3)
    np.testing.assert_allclose(second.probabilities, wanted.probabilities, rtol=1e-5)
    np.testing.assert_allclose(second.scores, wanted.scores, rtol=1e-5)
    np.testing.assert_allclose(first.scores, -second.scores)
    assert (second.targets[0], first.targets[0]) == ("dog", "cat")
    for tap, values in wanted.maps.items():
        np.testing.assert_allclose(second.maps[tap], values, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(first.maps[tap], -values, rtol=1e-4, atol=1e-6)


def test_the_predicted_class_is_explained_and_each_can_be_named(one, pets):
    pixels = pixels_of(one, pets)
    maps = Explainer(one).maps(pixels, [ClassTarget()] * len(pixels))
    said = finish(extract.features(one, pets)).predictions
    assert maps.class_ids.tolist() == said.predicted.tolist()
    assert (maps.scores > 0).all()  # what speaks for the likelier of two
    assert [saliency.parse(name, one) for name in ("cat", "dog", "1")] == [
        ClassTarget(0),
        ClassTarget(1),
        ClassTarget(1),
    ]


def test_maps_are_measured_by_the_probability_of_their_class(one, pets):
    explainer, pixels = Explainer(one), pixels_of(one, pets)[:4]
    maps = explainer.maps(pixels, [ClassTarget()] * 4)
    (tap,) = [tap for tap in maps.maps if tap.name == "layer3"]
    trial = faithfulness.trial_of(explainer, pixels, maps, tap, steps=2)
    np.testing.assert_allclose(trial.full, finish(extract.features(one, pets)).predictions.confidence[:4], rtol=1e-4)
