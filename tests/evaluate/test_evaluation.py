"""Scores against scikit-learn on predictions made by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import metrics
from torch import nn

from features import datasets
from features.datasets import decoding
from features.errors import DatasetError, FeatureError
from features.evaluate import evaluate
from features.networks import architecture, canonical, catalogue, zoo
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing
from features.progress import finish


def reader(n_classes: int, names: tuple[str, ...] = ()) -> zoo.Model:
    """A model that reads the class off a picture's red, where class k is written as 4k + 1.

    Class j gets the logit 2jv - j^2 = v^2 - (j - v)^2 with v = k + 1/4, so that k comes first, and then those
    next to it: k+1, k-1, k+2, k-2, ...
    """
    fc = nn.Linear(3, n_classes)
    numbers = torch.arange(n_classes, dtype=torch.float32)
    with torch.no_grad():
        fc.weight.zero_()[:, 0] = 2 * numbers
        fc.bias.copy_(-numbers.square())
    block = canonical.ResidualBlock(canonical.NoShortcut(3, 1), nn.Sequential(nn.Identity()), nn.ReLU())
    net = canonical.ResidualNetwork(nn.Sequential(nn.Identity()), {"layer1": [block]}, canonical.make_head(fc))
    preprocessing = Preprocessing(2, 2, (0.0,) * 3, (4 / 255,) * 3)
    shape = architecture.cifar(8, classes=n_classes)
    return zoo.Model(canonical.freeze(net), ModelSpec("reader", "", shape, preprocessing, names, "", ""), "0" * 64)


def written(predicted: list[int], labels: list[int] | None, names: tuple[str, ...]) -> datasets.ImageSet:
    """Pictures in which `reader` reads `predicted`."""

    def opener(index: int) -> Image.Image:
        return Image.new("RGB", (2, 2), (4 * int(predicted[index]) + 1, 0, 0))

    ids = tuple(f"{index}.png" for index in range(len(predicted)))
    return datasets.ImageSet(
        "written", ids, None if labels is None else np.array(labels, dtype=np.int64), names, "1" * 64, opener
    )


NAMES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu")
# 'dog' is never predicted, 'eel' is predicted but never there, 'fox' is neither; 'gnu' is always right.
TRUE = [0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 6, 6]
PREDICTED = [0, 0, 1, 1, 4, 2, 2, 0, 1, 2, 4, 6, 6]
RANDOM = np.random.default_rng(0).integers(0, 7, (2, 300)).tolist()

by_hand_and_drawn = pytest.mark.parametrize(
    ("true", "predicted"), [(TRUE, PREDICTED), RANDOM, (TRUE, TRUE)], ids=["by hand", "drawn", "all right"]
)


def evaluation(true, predicted):
    return finish(evaluate(reader(7, NAMES), written(predicted, true, NAMES)))


# --- scores ----------------------------------------------------------------------------------------------------------


@by_hand_and_drawn
def test_scores_are_scikit_learns(true, predicted):
    found = evaluation(true, predicted)
    present = sorted(set(true))
    wanted = metrics.precision_recall_fscore_support(true, predicted, labels=present, zero_division=0)
    for row, name in zip(wanted, ("precision", "recall", "f1", "support"), strict=True):
        np.testing.assert_allclose([getattr(score, name) for score in found.per_class], row, rtol=1e-6, err_msg=name)
    macro = metrics.precision_recall_fscore_support(true, predicted, labels=present, average="macro", zero_division=0)
    assert (found.macro_precision, found.macro_recall, found.macro_f1) == pytest.approx(macro[:3], rel=1e-6)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(true, predicted))
    np.testing.assert_array_equal(found.confusion, metrics.confusion_matrix(true, predicted, labels=range(7)))
    assert found.n_images == len(true)


@by_hand_and_drawn
def test_top_five_is_scikit_learns_and_right_for_classes_near_the_predicted_one(true, predicted):
    found = evaluation(true, predicted)
    v = np.array(predicted)[:, None] + 0.25
    closeness = -((np.arange(7) - v) ** 2)  # (N, K) the logits of `reader`, up to a constant
    assert found.top5 == pytest.approx(metrics.top_k_accuracy_score(true, closeness, k=5, labels=range(7)))


def test_scores_counted_by_hand():
    found = evaluation(TRUE, PREDICTED)
    assert [score.name for score in found.per_class] == ["ant", "bee", "cat", "dog", "gnu"]
    ant, bee, cat, dog, gnu = found.per_class
    assert (ant.precision, ant.recall, ant.support) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 3)
    assert (bee.precision, bee.recall, bee.support) == (pytest.approx(1 / 3), 0.5, 2)
    assert (cat.precision, cat.recall, cat.support) == (pytest.approx(2 / 3), 0.5, 4)
    assert (dog.precision, dog.recall, dog.f1, dog.support) == (0, 0, 0, 2)
    assert (gnu.precision, gnu.recall, gnu.f1, gnu.support) == (1, 1, 1, 2)
    assert found.accuracy == pytest.approx(7 / 13)
    assert found.macro_recall == pytest.approx((2 / 3 + 1 / 2 + 1 / 2 + 0 + 1) / 5)


def test_true_classes_are_rows_and_predicted_ones_columns():
    found = evaluation([2, 2, 2], [0, 0, 2])
    assert found.confusion[2].tolist() == [2, 0, 1, 0, 0, 0, 0]
    assert found.confusion.sum() == 3


def test_with_five_classes_or_fewer_the_top_five_hold_every_class():
    names = NAMES[:3]
    found = finish(evaluate(reader(3, names), written([0, 0, 0], [0, 1, 2], names)))
    assert found.top5 == 1
    assert found.accuracy == pytest.approx(1 / 3)


def test_predictions_are_counted_for_the_networks_class_and_not_the_sets_number():
    # The set knows two of the classes, so that its numbers 0 and 1 are 2 and 5 in the network.
    found = finish(evaluate(reader(7, NAMES), written([2, 5, 5], [0, 1, 0], ("cat", "fox"))))
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.confusion[2, 2] == found.confusion[5, 5] == found.confusion[2, 5] == 1
    assert [(score.name, score.support) for score in found.per_class] == [("cat", 2), ("fox", 1)]


def test_images_that_cannot_be_read_are_named_and_not_counted(tiny_model, tiny_folder, tiny_images):
    whole = finish(evaluate(tiny_model, replace(tiny_images, class_names=("class 0", "class 1", "class 2"))))
    (tiny_folder / "dog" / "2.png").write_bytes(b"torn")
    found = finish(evaluate(tiny_model, replace(tiny_images, class_names=("class 0", "class 1", "class 2"))))
    assert [image.id for image in found.rejected] == ["dog/2.png"]
    assert found.n_images == 11
    assert [score.support for score in found.per_class] == [4, 3, 4]
    left_out = whole.confusion - found.confusion
    assert left_out.sum() == left_out[1].sum() == 1  # one dog less, and nothing else has moved
    assert left_out.min() == 0


def test_the_one_logit_of_a_network_is_counted_for_two_classes():
    model = reader(1, ("dark", "bright"))
    with torch.no_grad():
        model.network.classifier.weight[:, 0] = 1
        model.network.classifier.bias[:] = -1.75  # above zero from class 2 on
    found = finish(evaluate(model, written([0, 1, 2, 3], [0, 1, 1, 1], ("dark", "bright"))))
    assert found.confusion.tolist() == [[1, 0], [1, 2]]
    assert (found.accuracy, found.class_names) == (0.75, ("dark", "bright"))


def test_every_image_has_a_row_that_says_what_it_was_taken_for():
    table = finish(evaluate(reader(7, NAMES), written([2, 5, 5], [0, 1, 0], ("Cat", "Fox")))).table()
    assert table["id"].tolist() == ["0.png", "1.png", "2.png"]
    assert table["label"].tolist() == ["Cat", "Fox", "Cat"]
    assert table["pred"].tolist() == ["cat", "fox", "fox"]
    assert table["correct"].tolist() == [True, True, False]


def test_how_images_are_batched_does_not_matter(monkeypatch):
    together = evaluation(TRUE, PREDICTED)
    monkeypatch.setattr(decoding, "batch_size", lambda preprocessing, device="cpu": 5)
    apart = evaluation(TRUE, PREDICTED)
    np.testing.assert_array_equal(apart.confusion, together.confusion)
    assert apart.top5 == together.top5


def test_the_result_can_be_written_as_json_with_all_that_it_says():
    found = finish(evaluate(reader(7, NAMES), written(PREDICTED, TRUE, NAMES)))
    told = json.loads(json.dumps(found.as_dict()))
    assert told["confusion"] == found.confusion.tolist()
    assert told["accuracy"] == found.accuracy
    assert told["class_names"] == list(NAMES)
    assert [row["name"] for row in told["per_class"]] == ["ant", "bee", "cat", "dog", "gnu"]
    assert not {"rows", "ids", "labels", "truth", "predictions"} & set(told)
    intervals = {"precision_interval", "recall_interval"}
    assert set(told["per_class"][0]) == {"name", "precision", "recall", "f1", "support"} | intervals
    assert told["provenance"]["images_digest"] == "1" * 64
    assert told["provenance"]["weights_sha256"] == "0" * 64


def test_rejected_images_can_be_written_as_json(tiny_model, tiny_folder, tiny_images):
    (tiny_folder / "dog" / "2.png").write_bytes(b"torn")
    named = replace(tiny_images, class_names=("class 0", "class 1", "class 2"))
    (row,) = json.loads(json.dumps(finish(evaluate(tiny_model, named)).as_dict()))["rejected"]
    assert row["id"] == "dog/2.png"


def average_precision(scores, holds) -> float:
    """The area below precision over recall: the mean of precision at each image of the label."""
    ranked = np.asarray(holds)[np.argsort(-np.asarray(scores), kind="stable")]
    precisions = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precisions[ranked].mean())


def test_labels_of_which_any_number_holds_are_scored_one_by_one(tiny_images):
    model = drawn(3)
    model = replace(model, spec=replace(model.spec, multilabel=True))
    result = finish(evaluate(model, tiny_images))
    with torch.inference_mode():
        pixels = torch.stack([model.spec.preprocessing(tiny_images.open(n)) for n in range(len(tiny_images))])
        scores = model.network(pixels).sigmoid().numpy()  # (N, K)
    said, holds = scores > 0.5, tiny_images.labels[:, None] == np.arange(3)  # (N, K) both
    assert len(np.unique(scores)) == scores.size  # one order of the images
    areas = []
    for label, score in enumerate(result.per_class):
        right, given, there = (said & holds)[:, label].sum(), said[:, label].sum(), holds[:, label].sum()
        assert score.precision == pytest.approx(right / max(given, 1))
        assert score.recall == pytest.approx(right / there)
        assert score.f1 == pytest.approx(2 * right / (given + there))
        areas.append(average_precision(scores[:, label], holds[:, label]))
        assert score.average_precision == pytest.approx(areas[-1])
    assert result.accuracy == pytest.approx((said == holds).all(1).mean())
    assert result.as_dict()["mean_average_precision"] == pytest.approx(np.mean(areas))


# --- what is refused -------------------------------------------------------------------------------------------------


def drawn(classes: int | None) -> zoo.Model:
    shape = architecture.cifar(8, classes=classes)
    spec = ModelSpec("drawn", "", shape, catalogue.CIFAR_PREPROCESSING, (), "", "")
    return zoo.Model(canonical.freeze(canonical.build(shape)), spec, "0" * 64)


def test_a_network_without_a_head_is_refused(tiny_images):
    with pytest.raises(FeatureError, match="drawn has no classifier"):
        finish(evaluate(drawn(None), tiny_images))


def test_images_without_labels_are_refused(tiny_images):
    with pytest.raises(DatasetError, match="tiny has no labels"):
        finish(evaluate(drawn(3), replace(tiny_images, labels=None, class_names=())))


def test_broken_weights_are_an_error_and_no_score(tiny_images):
    model = drawn(3)
    with torch.no_grad():
        model.network.classifier.bias[1] = torch.nan
    with pytest.raises(FeatureError, match="NaN"):
        finish(evaluate(model, tiny_images))


def test_an_evaluation_tells_how_the_labels_were_matched():
    ships = written([0, 1], [0, 1], ("ship", "truck"))
    assert finish(evaluate(reader(2, ("cat", "dog")), ships)).as_dict()["labels_matched"] == "by order"
    assert finish(evaluate(reader(2, ("ship", "truck")), ships)).labels_matched == "by name"
