"""A network that predicts any number of labels: every analysis takes each logit's own sigmoid, and all decisions."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from features import faithfulness, residual
from features.datasets import ImageSet
from features.evaluate import evaluate
from features.networks import architecture, canonical, catalogue, zoo
from features.networks.card import ModelSpec
from features.predictions import Predictions, decisions, one_class
from features.progress import finish
from features.saliency import ClassTarget, Explainer
from tests.random_networks import randomise

NAMES = ("ant", "bee", "cat")


@pytest.fixture
def images(tiny_images) -> ImageSet:
    """Eight images of one label each."""
    return replace(tiny_images.take(range(8)), class_names=NAMES)


@pytest.fixture
def model(images) -> zoo.Model:
    """Each of whose labels is predicted of some images and not of others."""
    shape = architecture.cifar(8, classes=len(NAMES))
    network = canonical.freeze(randomise(canonical.build(shape)))
    spec = ModelSpec("drawn", "", shape, catalogue.CIFAR_PREPROCESSING, NAMES, "", "", multilabel=True)
    model = zoo.Model(network, spec, "0" * 64)
    with torch.no_grad():
        network.classifier.bias -= logits_of(model, images).quantile(0.6, dim=0)
    return model


def pixels_of(model: zoo.Model, images: ImageSet) -> torch.Tensor:
    return torch.stack([model.spec.preprocessing.framed(images.open(row)) for row in range(len(images))])


def logits_of(model: zoo.Model, images: ImageSet) -> torch.Tensor:
    with torch.inference_mode():
        return model.network(model.spec.preprocessing.scaled(pixels_of(model, images)))  # (N, K)


def test_maps_are_measured_by_the_sigmoid_of_their_label(model, images):
    explainer, pixels = Explainer(model), pixels_of(model, images)
    maps = explainer.maps(pixels, [ClassTarget(1)] * len(pixels))
    tap = next(iter(maps.maps))
    trial = faithfulness.trial_of(explainer, pixels, maps, tap, steps=2)
    np.testing.assert_allclose(trial.full, logits_of(model, images)[:, 1].sigmoid(), rtol=1e-4)


def test_lesions_are_counted_as_evaluation_counts(model, images):
    """An image is right if every label is; two networks agree where all their decisions do."""
    lesions = residual.each(model.network)
    swept = finish(residual.sweep(model, images, lesions))
    logits, truth = logits_of(model, images), torch.from_numpy(images.labels)
    assert swept.intact_accuracy == finish(evaluate(model, images)).accuracy
    of_truth = logits.sigmoid()[torch.arange(len(truth)), truth]
    assert swept.intact_true_probability == pytest.approx(float(of_truth.mean()), rel=1e-4)
    for number, lesion in enumerate(lesions):
        changed = residual.lesioned(model, lesion)
        assert swept.accuracy[number] == finish(evaluate(changed, images)).accuracy
        same = ((logits_of(changed, images) > 0) == (logits > 0)).all(1)
        assert swept.agreement[number] == pytest.approx(float(same.float().mean()))


def test_what_the_head_makes_of_the_last_block_is_the_networks_accuracy(model, images):
    measured = finish(residual.statistics(model, images))
    assert measured.head_accuracy[-1] == finish(evaluate(model, images)).accuracy


@pytest.mark.parametrize("labelled", [True, False], ids=["true labels", "predicted labels"])
def test_gradients_are_of_the_sum_of_each_labels_cross_entropy(model, images, labelled, monkeypatch):
    """Through the shortcuts of all blocks alone, as autograd has it."""
    monkeypatch.setattr(sys.modules["features.residual.gradient_paths"], "ALL", 3)
    images = images if labelled else replace(images, labels=None, class_names=())
    measured = finish(residual.paths(model, images))
    x = start = model.network.stem(model.spec.preprocessing.scaled(pixels_of(model, images))).detach().requires_grad_()
    for _, block in model.network.blocks():
        x = torch.relu(block.shortcut(x) + block.branch(x).detach())
    logits = model.network.head(x)  # (N, K)
    wanted = one_class(torch.from_numpy(images.labels), len(NAMES)) if labelled else logits > 0
    functional.binary_cross_entropy_with_logits(logits, wanted.float(), reduction="sum").backward()
    assert measured.single[0] == pytest.approx(float(start.grad.flatten(1).norm(dim=1).mean()), rel=1e-4)


def test_a_single_label_is_no_choice_between_two(model, images):
    """One logit of a network that predicts any number of labels stays one."""
    shape = architecture.cifar(8, classes=1)
    spec = replace(model.spec, architecture=shape, class_names=("ant",))
    one = zoo.Model(canonical.freeze(randomise(canonical.build(shape))), spec, "0" * 64)
    maps = Explainer(one).maps(pixels_of(one, images), [ClassTarget(0)] * len(images))
    np.testing.assert_allclose(maps.probabilities, logits_of(one, images).sigmoid(), rtol=1e-4)


def test_decisions_are_those_of_predictions(model, images):
    logits = logits_of(model, images)
    said = Predictions.of(logits.numpy(), NAMES, model.spec.outputs)
    np.testing.assert_array_equal(decisions(logits, model.spec.outputs).numpy(), said.assigned)
    right = (decisions(logits, model.spec.outputs) == one_class(torch.from_numpy(images.labels), len(NAMES))).all(1)
    assert right.tolist() == said.correct(images.labels).tolist()
    assert 0 < int(right.sum()) < len(right)  # else these tests would tell little
    assert right.tolist() != (logits.argmax(1).numpy() == images.labels).tolist()
