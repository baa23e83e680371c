"""Lists of images: what is planted comes first."""

import numpy as np
import pytest

from features import embed
from features.embed import RANKINGS, Evidence, MapSettings
from features.errors import FeatureError
from features.networks.card import Outputs
from features.predictions import Predictions
from features.progress import finish
from tests.embed.drawn import blobs, points


def evidence(values, **more):
    return Evidence(embed.nearest(values, 6), **more)


def test_a_planted_outlier_comes_first():
    values, _ = blobs()
    values[17] = 60
    ranked = RANKINGS["outliers"].of(evidence(values))
    assert ranked.rows[0] == 17
    assert (np.diff(ranked.scores) <= 0).all()
    assert sorted(ranked.rows) == list(range(90))


def test_planted_duplicates_come_first_with_their_twins():
    values, _ = blobs()
    values[40] = values[3]
    values[80] = values[21] + 1e-3
    ranked = RANKINGS["duplicates"].of(evidence(values))
    assert ranked.rows.tolist() == [40, 80]
    assert ranked.partners.tolist() == [3, 21]
    assert ranked.scores[0] == 1


def test_planted_duplicates_across_splits_come_first_though_others_are_nearer():
    values, _ = blobs()
    values[80] = values[40] = values[3]  # 80's nearest copies are of its own split and of the other
    values[60] = values[21]
    splits = np.array(["train"] * 30 + ["test"] * 60, dtype=object)
    ranked = RANKINGS["duplicates-across"].of(evidence(values, splits=splits))
    assert dict(zip(ranked.rows.tolist(), ranked.partners.tolist(), strict=True)) == {40: 3, 60: 21, 80: 3}


def test_of_a_thousand_copies_each_but_the_first_is_a_duplicate():
    ranked = RANKINGS["duplicates"].of(evidence(np.ones((1000, 4), np.float32)))
    assert sorted(ranked.rows) == list(range(1, 1000))


def test_planted_wrong_labels_come_first():
    values, labels = blobs()
    wrong = labels.copy()
    wrong[[5, 50]] = [2, 0]
    graph = embed.nearest(values, 6)
    separation = finish(embed.separation(values, graph, wrong, ("ant", "bee", "cat")))
    ranked = RANKINGS["label-errors"].of(Evidence(graph, wrong, separation))
    assert set(ranked.rows[:2]) == {5, 50}
    assert set(ranked.rows) == {5, 50}  # nothing else is suspect


def test_the_hardest_images_are_wrong_and_sure():
    logits = np.array([[5, 0], [0, 5], [1, 0], [0, 0.1]])
    said = Predictions.of(logits, ("ant", "bee"), Outputs.MULTICLASS)
    ranked = RANKINGS["hardest"].of(evidence(points(8), truth=np.zeros(4, int), predictions=said))
    assert ranked.rows.tolist() == [1, 3, 2, 0]


def test_images_that_change_their_neighbours_come_first():
    values, _ = blobs()
    later = values.copy()
    later[[2, 45]] = later[[45, 2]]
    maps = finish(embed.stage_maps({"layer1": values, "layer2": later}, MapSettings("pca", 6)))
    ranked = RANKINGS["movers"].of(evidence(values, maps=maps))
    assert set(ranked.rows[:2]) == {2, 45}
    assert ranked.scores[0] == 1


@pytest.mark.parametrize("name", [name for name, entry in RANKINGS.items() if entry.needs])
def test_a_list_that_lacks_something_says_what(name):
    known = evidence(points(10))
    assert not RANKINGS[name].can_rank(known)
    with pytest.raises(FeatureError, match=RANKINGS[name].needs[0]):
        RANKINGS[name].of(known)
