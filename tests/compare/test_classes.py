"""Networks with other lists of classes are compared on those that all know, or not at all."""

from dataclasses import replace

import numpy as np
import pytest

from features.compare import common_classes, compare
from features.datasets.image_set import with_labels
from features.errors import FeatureError
from features.networks import zoo
from features.progress import finish


def spec(model, *names, classes=None):
    architecture = replace(model.spec.architecture, classes=classes or len(names))
    return replace(model.spec, class_names=tuple(names), architecture=architecture)


def test_the_same_classes_are_compared_as_they_are(tiny_model, tiny_images):
    images = with_labels(tiny_images, ["cat"] * 4 + ["dog"] * 4 + ["fox"] * 4)
    same = spec(tiny_model, "cat", "dog", "fox")
    told = common_classes([same, replace(same, class_names=("Cat", "DOG", "fox"))], images)
    assert (told.names, told.how, told.left_out) == (("cat", "dog", "fox"), "", (0, 0))
    assert told.images is images
    assert told.logits(0, np.ones((2, 3))).shape == (2, 3)


def test_the_same_classes_in_another_order_are_put_in_one(tiny_model, tiny_images):
    one, other = spec(tiny_model, "cat", "dog", "fox"), spec(tiny_model, "fox", "dog", "cat")
    told = common_classes([one, other], tiny_images)
    assert told.names == ("cat", "dog", "fox")
    np.testing.assert_array_equal(told.logits(1, np.array([[10.0, 20, 30]])), [[30, 20, 10]])
    np.testing.assert_array_equal(told.matched[1].classes, tiny_images.labels)


def test_classes_that_one_does_not_know_are_left_out_with_their_images(tiny_model, tiny_images):
    one, other = spec(tiny_model, "owl", "cat", "dog", "fox"), spec(tiny_model, "Fox", "bee", "Cat")
    told = common_classes([one, other], tiny_images)
    assert told.names == ("Fox", "Cat")
    assert (told.left_out, told.n_images_left_out, told.how) == ((2, 1), 4, "by name")
    assert {image_id.split("/")[0] for image_id in told.images.ids} == {"cat", "fox"}
    np.testing.assert_array_equal(told.matched[0].classes, [1] * 4 + [0] * 4)
    np.testing.assert_array_equal(told.logits(0, np.array([[1.0, 2, 3, 4]])), [[4, 2]])


def test_wordnet_ids_are_the_classes_that_they_name(tiny_model, tiny_images):
    images = with_labels(tiny_images, ["tench"] * 6 + ["goldfish"] * 6)
    one, other = spec(tiny_model, "n01440764", "n01443537", "n01484850"), spec(tiny_model, "goldfish", "tench")
    told = common_classes([one, other], images)
    assert told.names == ("goldfish", "tench")
    np.testing.assert_array_equal(told.columns[0], [1, 0])


def test_a_network_without_names_takes_part_by_the_labels_of_the_images(tiny_model, tiny_images):
    images = with_labels(tiny_images, [str(number % 2) for number in range(12)])
    unnamed = spec(tiny_model, classes=10)
    told = common_classes([unnamed, spec(tiny_model, "0", "1", "2")], images)
    assert told.names == ("0", "1")
    assert told.how == "by the images' labels"


def test_what_has_nothing_in_common_is_refused(tiny_model, tiny_images):
    with pytest.raises(FeatureError, match="no two classes in common: tiny has cat, dog"):
        common_classes([spec(tiny_model, "cat", "dog", "fox"), spec(tiny_model, "cat", "owl")], tiny_images)
    with pytest.raises(FeatureError, match="None of the images has a label that all networks know"):
        common_classes([spec(tiny_model, "a", "b", "cat"), spec(tiny_model, "a", "b", "c", "dog")], tiny_images)
    many = replace(spec(tiny_model, "cat", "dog", "fox"), multilabel=True)
    with pytest.raises(FeatureError, match="where all networks have the same classes"):
        common_classes([many, spec(tiny_model, "cat", "dog")], tiny_images)


def test_accuracy_is_among_the_common_classes_alone(tiny_model, tiny_images):
    one = replace(tiny_model, spec=replace(tiny_model.spec, class_names=("cat", "dog", "fox", *"abcdefg")))
    two = replace(tiny_model, spec=replace(tiny_model.spec, class_names=("cat", "fox", *"hijklmno")), digest="1" * 64)
    told = finish(compare([one, two], tiny_images))
    assert told.common.names == ("cat", "fox")
    assert len(told.ids) == 8
    logits = [finish_logits(model, told.common.images) for model in (one, two)]
    for each, values, columns in zip(told.contenders, logits, ([0, 2], [0, 1]), strict=True):
        np.testing.assert_array_equal(each.predictions.predicted, values[:, columns].argmax(1))
    assert told.table()["tiny (2) pred"].isin(["cat", "fox"]).all()


def finish_logits(model: zoo.Model, images) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return np.concatenate(
            [model.network(model.spec.preprocessing(images.open(row))[None]).numpy() for row in range(len(images))]
        )


def test_labels_that_a_named_network_does_not_know_are_no_classes_of_its(tiny_model, tiny_images):
    unnamed, other = spec(tiny_model, classes=3), spec(tiny_model, "boat", "car", "tram")
    with pytest.raises(FeatureError, match=r"None of the labels of tiny \(cat, dog, fox, \.\.\.\) is a class of"):
        common_classes([unnamed, other], tiny_images)


def test_what_is_guessed_of_labels_is_told(tiny_model, tiny_images):
    told = common_classes([spec(tiny_model, classes=3), spec(tiny_model, "cat", "dog", "fox")], tiny_images)
    assert told.names == ("cat", "dog", "fox")
    assert len(told.notes) == 1
    assert "does not name its classes" in told.notes[0]


def test_what_is_guessed_of_several_networks_is_told_once(tiny_model, tiny_images):
    first, second = spec(tiny_model, classes=3), replace(spec(tiny_model, classes=3), name="other")
    (note,) = common_classes([first, second], tiny_images).notes
    assert note.startswith(f"{first.name}, other: Labels matched in order (uncertain). Each does not name its classes;")
    assert "'?classes=FILE' behind the name" in note  # --classes would be of one network
    assert "--classes" not in note


def test_a_guess_is_told_where_networks_take_labels_for_different_classes(tiny_model, tiny_images):
    """The first knows the labels in an order of its own; for the second they are taken in theirs."""
    named, unnamed = spec(tiny_model, "fox", "cat", "dog"), replace(spec(tiny_model, classes=3), name="unnamed")
    told = common_classes([named, unnamed], tiny_images)
    assert told.how == "by the images' labels"
    np.testing.assert_array_equal(told.columns, [[1, 2, 0], [0, 1, 2]])
    (note,) = told.notes
    assert note.startswith("unnamed: Labels matched in order (uncertain). Each does not name its classes;")


def test_a_guess_is_told_where_networks_have_different_numbers_of_classes(tiny_model, tiny_images):
    named, unnamed = spec(tiny_model, "fox", "cat", "dog", "owl"), spec(tiny_model, classes=3)
    assert "in order (uncertain)" in common_classes([named, unnamed], tiny_images).notes[0]


def test_labels_that_no_network_names_are_not_taken_in_order_for_one_that_names_its_own(tiny_model, tiny_images):
    with pytest.raises(FeatureError, match=r"None of the labels of tiny \(cat, dog, fox, \.\.\.\) is a class of"):
        common_classes([spec(tiny_model, "a", "b", "c"), spec(tiny_model, "c", "b", "a")], tiny_images)


def test_errors_say_what_to_do_of_one_network_among_several(tiny_model, tiny_images):
    with pytest.raises(FeatureError) as error:
        common_classes([spec(tiny_model, classes=7), spec(tiny_model, classes=7)], tiny_images)
    assert "'?classes=FILE' behind the name (or the network with --models NAME and --weights FILE" in str(error.value)
