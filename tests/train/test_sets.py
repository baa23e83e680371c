"""Which images are learned from, held back and tested with."""

from dataclasses import replace

import numpy as np
import pytest

from features.errors import FeatureError
from features.train.recipe import Recipe
from features.train.sets import held_back, sets_of
from tests.train.runs import NAMES, squares


def long_tailed(counts: tuple[int, ...]):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = squares(len(labels))
    return replace(images, labels=labels, class_names=NAMES[: len(counts)])


def test_of_each_class_its_share_is_held_back_and_every_image_is_in_one_of_the_two():
    images = long_tailed((20, 10, 5))
    learned, held = held_back(images, 0.2, seed=0)
    assert np.bincount(held.labels).tolist() == [4, 2, 1]
    assert sorted((*learned.ids, *held.ids)) == sorted(images.ids)
    assert not {*learned.ids} & {*held.ids}


def test_the_seed_decides_which():
    images = long_tailed((20, 10, 5))
    assert held_back(images, 0.2, 3)[1].ids == held_back(images, 0.2, 3)[1].ids != held_back(images, 0.2, 4)[1].ids


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_of_each_class_one_image_stays_on_either_side(share):
    learned, held = held_back(long_tailed((20, 2, 3)), share, seed=0)
    assert np.bincount(learned.labels).min() >= 1
    assert np.bincount(held.labels).min() >= 1


def test_a_class_of_one_image_cannot_be_held_back():
    with pytest.raises(FeatureError, match=r"'fox' has one image in squares, .* hold nothing back"):
        held_back(long_tailed((5, 5, 1)), 0.2, seed=0)


def test_label_sets_are_held_back_by_their_combinations():
    sets = np.repeat(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]], bool), (10, 5, 1), axis=0)
    images = replace(squares(16), labels=None, label_sets=sets)
    _, held = held_back(images, 0.4, seed=0)
    assert held.label_sets.sum(0).tolist() == [6, 2, 0]  # 4 and 2 of the combinations, none of the single one
    with pytest.raises(FeatureError, match=r"0\.01 of squares is no image to hold back"):
        held_back(images, 0.01, seed=0)


def test_the_test_images_are_never_held_back_and_never_learned_from():
    images, test = squares(30), squares(9, seed=1)
    made = sets_of(images, test, Recipe(held_back=0.2))
    assert made.test.images is test
    assert {*made.learned.images.ids, *made.held.images.ids} == {*images.ids}
    other = sets_of(images, squares(12, seed=2), Recipe(held_back=0.2))
    assert other.held.images.ids == made.held.images.ids


def test_targets_go_with_their_images():
    made = sets_of(squares(30), squares(9, seed=1), Recipe(held_back=0.2))
    for taught in (made.learned, made.held, made.test):
        assert taught.targets.tolist() == taught.images.labels.tolist()


def test_label_sets_cannot_be_drawn_in_balance():
    sets = np.ones((6, 3), bool)
    images, test = (replace(squares(6, seed=seed), labels=None, label_sets=sets) for seed in (0, 1))
    with pytest.raises(FeatureError, match="no class can be drawn as often as any other"):
        sets_of(images, test, Recipe(head="multi-label", sampling="balanced"))
