"""Retrieval against brute force and scikit-learn."""

from importlib import import_module

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from features.errors import FeatureError
from features.evaluate import RANKS, retrieval
from features.progress import finish

module = import_module("features.evaluate.retrieval")  # whose name in the package is the function's


def of_stage(features, labels, **settings):
    return finish(retrieval({"stage": np.asarray(features, np.float32)}, labels, **settings))["stage"]


def drawn(n_rows=60, width=5, n_classes=4, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, n_classes, n_rows)
    return (random.normal(size=(n_rows, width)) + labels[:, None] * 0.4).astype(np.float32), labels


def by_brute_force(features, shares):
    """Recall at RANKS and the mean average precision, query by query. shares: (N, N) bool."""
    distances = np.linalg.norm(features[:, None].astype(np.float64) - features[None], axis=2)
    hits, areas = [], []
    for row in range(len(features)):
        others = np.delete(np.arange(len(features)), row)
        same = shares[row, others]
        if same.any():
            order = np.argsort(distances[row, others], kind="stable")
            hits.append([same[order[:k]].any() for k in RANKS])
            areas.append(average_precision_score(same, -distances[row, others]))
    return np.mean(hits, axis=0), np.mean(areas)


@pytest.mark.parametrize("offset", [0, 1000], ids=["centred", "far from the origin"])
def test_scores_are_those_of_all_pairs_and_of_scikit_learn(monkeypatch, offset):
    monkeypatch.setattr(module, "BLOCK_VALUES", 500)  # several blocks
    features, labels = drawn()
    recall, area = by_brute_force(features + np.float32(offset), labels[:, None] == labels)
    found = of_stage(features + np.float32(offset), labels)
    assert [found.recall[k].value for k in RANKS] == pytest.approx(recall)
    assert found.mean_average_precision == pytest.approx(area)
    assert found.n_queries == found.n_images == 60


def test_images_that_share_one_of_several_labels_are_of_one_kind():
    features, _ = drawn()
    sets = np.random.default_rng(1).random((60, 4)) < 0.3
    recall, area = by_brute_force(features, (sets[:, None] & sets[None]).any(2))
    found = of_stage(features, sets)
    assert [found.recall[k].value for k in RANKS] == pytest.approx(recall)
    assert found.mean_average_precision == pytest.approx(area)


def test_classes_that_lie_apart_are_retrieved_without_a_mistake():
    features, labels = drawn()
    found = of_stage(features + labels[:, None] * 100, labels)
    assert found.mean_average_precision == 1
    assert all(share.value == 1 for share in found.recall.values())


def test_features_that_tell_nothing_retrieve_as_chance_does():
    random = np.random.default_rng(0)
    found = of_stage(random.normal(size=(600, 8)), random.integers(0, 4, 600))
    assert found.recall[1].interval[0] < 0.25 < found.recall[1].interval[1]
    assert found.mean_average_precision == pytest.approx(0.25, abs=0.02)


def test_copies_are_ties_of_which_none_comes_before_the_others():
    features, labels = np.ones((8, 3)), np.array([0, 0, 1, 1, 1, 1, 1, 1])
    found = of_stage(features, labels)
    assert found.mean_average_precision == pytest.approx((2 * 1 / 7 + 6 * 5 / 7) / 8)


def test_an_image_whose_label_nobody_shares_asks_nothing_but_is_among_the_answers():
    found = of_stage([[0.0], [1.0], [1.5], [5.0]], np.array([0, 1, 0, 2]))
    assert (found.n_queries, found.n_images) == (2, 4)
    assert found.mean_average_precision == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert found.recall[1].hits == 0
    assert found.recall[5].hits == 2


def test_of_very_many_images_a_sample_is_asked(monkeypatch):
    monkeypatch.setattr(module, "ALL_QUERIES", 50)
    monkeypatch.setattr(module, "SAMPLED", 40)
    features, labels = drawn()
    found = of_stage(features, labels)
    assert (found.n_queries, found.n_images) == (40, 60)
    assert found.as_dict()["queries"] == 40


def test_labels_that_nobody_shares_and_values_that_are_no_numbers_are_refused():
    with pytest.raises(FeatureError, match="No two of these images have the same label"):
        of_stage(np.ones((3, 2)), np.arange(3))
    with pytest.raises(FeatureError, match="NaN"):
        of_stage(np.full((3, 2), np.nan), np.zeros(3, int))


def test_every_stage_has_its_scores():
    features, labels = drawn()
    found = finish(retrieval({"one": features, "two": features * 2}, labels))
    assert list(found) == ["one", "two"]
    assert found["one"].mean_average_precision == pytest.approx(found["two"].mean_average_precision)
