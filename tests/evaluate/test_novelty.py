"""Scores of novelty: what halves of one set, far blobs, SciPy and scikit-learn say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis as distance_of
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from features.errors import FeatureError
from features.evaluate import NOVELTY_SCORES, novelty
from features.evaluate.novelty import NEIGHBOUR, Reference, mahalanobis, neighbour_distance
from features.evaluate.separating import area_interval, separating
from features.networks.card import Outputs
from features.predictions import Predictions
from features.progress import finish
from features.results import Provenance
from features.store import FeatureSet


def drawn(n_rows, width=6, seed=0, away=0.0):
    """Features (N, D) of three classes, and logits that know them; `away` leads from all of them."""
    random = np.random.default_rng(seed)
    labels = np.arange(n_rows) % 3
    values = random.normal(size=(n_rows, width)) + 6 * np.eye(3, width)[labels]
    values[:, -1] += away
    logits = random.normal(size=(n_rows, 3)) + (6 * np.eye(3)[labels] if not away else 0)
    return feature_set(values, labels, logits, f"set {seed} {away}")


def feature_set(values, labels, logits, digest):
    n_rows = len(values)
    return FeatureSet(
        stages={"layer1": values.astype(np.float32), "pool": values[:, :4].astype(np.float32)},
        rows=np.arange(n_rows),
        ids=tuple(map(str, range(n_rows))),
        uris=tuple(map(str, range(n_rows))),
        labels=labels,
        class_names=("a", "b", "c"),
        predictions=Predictions.of(logits.astype(np.float32), ("a", "b", "c"), Outputs.MULTICLASS),
        rejected=(),
        provenance=Provenance(images=digest, images_digest=digest),
    )


def areas(known, others):
    return {(each.score, each.stage): each.separating for each in finish(novelty(known, others)).scored}


def test_images_of_the_same_kind_are_told_apart_by_no_score():
    for told in areas(drawn(600), drawn(300, seed=1)).values():
        assert told.interval[0] < 0.5 < told.interval[1] or abs(told.auroc - 0.5) < 0.05


def test_far_images_are_told_apart_by_every_score():
    found = areas(drawn(200), drawn(100, seed=1, away=200.0))
    assert found["mahalanobis", "layer1"].auroc == found["neighbours", "layer1"].auroc == 1
    assert found["mahalanobis", "layer1"].accepted.hits == 0
    assert min(found["energy", ""].auroc, found["softmax", ""].auroc) > 0.9


def test_every_score_is_there_once_or_once_a_stage():
    found = finish(novelty(drawn(40), drawn(20, seed=1)))
    assert {each.score for each in found.scored} == set(NOVELTY_SCORES)
    assert [each.stage for each in found.of("mahalanobis")] == ["layer1", "pool"]
    assert [each.stage for each in found.of("energy")] == [""]
    assert all((len(each.known), len(each.others)) == (20, 20) for each in found.scored)
    assert (found.n_reference, found.classes_by) == (20, "labels")


def test_mahalanobis_is_scipys_with_scikit_learns_covariance():
    values, labels = drawn(90).stages["layer1"], np.arange(90) % 3
    means = np.stack([values[labels == label].mean(0) for label in range(3)]).astype(np.float64)
    precision = LedoitWolf(assume_centered=True).fit(values - means[labels]).precision_
    asked = drawn(7, seed=1).stages["layer1"]
    wanted = [min(distance_of(row, mean, precision) ** 2 for mean in means) for row in asked]
    np.testing.assert_allclose(mahalanobis(Reference(values, labels), asked), wanted, rtol=1e-4)


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_mahalanobis_does_not_depend_on_the_unit(factor):
    values, labels, asked = drawn(90).stages["layer1"], np.arange(90) % 3, drawn(7, seed=1).stages["layer1"]
    np.testing.assert_allclose(
        mahalanobis(Reference(values * np.float32(factor), labels), asked * np.float32(factor)),
        mahalanobis(Reference(values, labels), asked),
        rtol=1e-3,
    )


def test_mahalanobis_of_fewer_images_than_channels_is_scikit_learns_too():
    random = np.random.default_rng(0)
    wide, asked = (random.normal(size=(rows, 64)).astype(np.float32) + 5 for rows in (20, 6))
    fitted = LedoitWolf().fit(wide.astype(np.float64))
    np.testing.assert_allclose(
        mahalanobis(Reference(wide, np.zeros(20, int)), asked), fitted.mahalanobis(asked), rtol=1e-6
    )


def test_images_of_small_classes_are_near_their_own_class():
    found = areas(drawn(24), drawn(12, seed=1, away=200.0))  # four known images of each class
    assert found["neighbours", "layer1"].auroc == 1


def test_a_constant_stage_tells_nothing():
    assert not mahalanobis(Reference(np.ones((20, 4), np.float32), np.zeros(20, int)), np.ones((3, 4))).any()


def test_the_distance_to_neighbours_is_scikit_learns_of_features_of_length_one():
    known, asked = (drawn(n, seed=n).stages["layer1"].astype(np.float64) for n in (80, 9))
    unit, others = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in (known, asked))
    wanted = NearestNeighbors(n_neighbors=NEIGHBOUR).fit(unit).kneighbors(others)[0][:, -1]
    found = neighbour_distance(Reference(known.astype(np.float32), np.zeros(80, int)), asked.astype(np.float32))
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_energy_is_minus_the_log_of_the_sum_of_exponentials():
    logits = np.array([[1.0, 2.0, 3.0], [-50.0, 0.0, 60.0]], np.float32)
    wanted = -np.log(np.exp(logits.astype(np.float64)).sum(1))
    np.testing.assert_allclose(Predictions.of(logits, ("a", "b", "c"), Outputs.MULTICLASS).energy, wanted, rtol=1e-6)
    one = Predictions.of(logits[:, :1], ("a", "b"), Outputs.BINARY).energy
    np.testing.assert_allclose(one, -np.log1p(np.exp(logits[:, 0].astype(np.float64))), rtol=1e-6)
    labels = Predictions.of(logits, ("a", "b", "c"), Outputs.MULTILABEL).energy
    np.testing.assert_allclose(labels, -np.log1p(np.exp(logits.astype(np.float64))).sum(1), rtol=1e-6)


def test_the_area_is_scikit_learns_with_ties_too():
    random = np.random.default_rng(0)
    for known, others in ((random.normal(size=50), random.normal(1, 1, 30)), random.integers(0, 5, (2, 40))):
        wanted = roc_auc_score(np.repeat([0, 1], [len(known), len(others)]), np.concatenate([known, others]))
        assert separating(known, others).auroc == pytest.approx(wanted)


def test_the_threshold_keeps_95_of_100_known_images():
    told = separating(np.arange(100.0), np.array([0.0, 94.0, 94.5, 200.0]))
    assert told.threshold == 94
    assert (told.accepted.hits, told.accepted.n) == (2, 4)


def test_the_interval_of_the_area_holds_the_true_one_as_often_as_it_says():
    from scipy.stats import norm

    random, true, held = np.random.default_rng(0), norm.cdf(1 / np.sqrt(2)), 0
    for _ in range(400):
        low, high = separating(random.normal(size=40), random.normal(1, 1, 40)).interval
        held += low <= true <= high
    assert 0.92 <= held / 400 <= 0.98


def test_the_interval_has_a_width_at_the_ends_and_holds_the_area():
    low, high = area_interval(1.0, 20, 20)
    assert low < 0.95
    assert high == 1
    assert area_interval(0.0, 20, 20) == pytest.approx((0, 1 - low))
    for area in (0.3, 0.5, 0.97):
        low, high = area_interval(area, 30, 50)
        assert low < area < high


def test_without_labels_predictions_make_the_classes():
    known = replace(drawn(40), labels=None)
    assert finish(novelty(known, drawn(20, seed=1))).classes_by == "predictions"
    bare = replace(known, predictions=None)
    found = finish(novelty(bare, drawn(20, seed=1)))
    assert found.classes_by == "one class"
    assert {each.score for each in found.scored} == {"mahalanobis", "neighbours"}


def test_the_same_set_and_sets_of_other_networks_are_refused():
    with pytest.raises(FeatureError, match="is the first one itself"):
        finish(novelty(drawn(40), drawn(40)))
    with pytest.raises(FeatureError, match="different networks"):
        finish(novelty(drawn(40), drawn(40, width=9, seed=1)))
    with pytest.raises(FeatureError, match="at least 4"):
        finish(novelty(drawn(3), drawn(40, seed=1)))
