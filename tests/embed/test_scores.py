"""How features tell classes apart, against scikit-learn and counts by hand."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples
from sklearn.neighbors import KNeighborsClassifier

from features import embed
from features.embed.scores import voted
from features.progress import finish
from features.shares import Share
from tests.embed.drawn import blobs, points

NAMES = ("ant", "bee", "cat")


def separated(values, labels, k=6, names=NAMES):
    return finish(embed.separation(values, embed.nearest(values, k), labels, names))


def test_blobs_are_told_apart_by_neighbours_and_by_a_line():
    values, labels = blobs()
    found = separated(values, labels)
    assert found.by_neighbours == Share(90, 90)
    assert found.by_line == Share(90, 90)
    np.testing.assert_array_equal(found.confusion, np.eye(3) * 30)
    assert found.confused() == []
    assert len(found.probed) == 90


def test_drawn_labels_are_told_by_chance_alone():
    labels = np.random.default_rng(1).integers(0, 2, 400)
    found = separated(points(400), labels, names=("a", "b"))
    for share in (found.by_neighbours, found.by_line):
        low, high = share.interval
        assert low < 0.58
        assert high > 0.42


def test_silhouettes_are_scikit_learns():
    values, labels = points(60), np.arange(60) % 3
    wanted = silhouette_samples(values, labels)
    found = separated(values, labels).silhouette
    np.testing.assert_allclose(found, [wanted[labels == label].mean() for label in range(3)])


def test_votes_are_those_of_leaving_one_out():
    values, labels = points(50), np.random.default_rng(0).integers(0, 2, 50)
    votes = voted(embed.nearest(values, 6), labels, 2)  # five others: no draw
    for row in range(50):
        others = np.arange(50) != row
        classifier = KNeighborsClassifier(5).fit(values[others], labels[others])
        assert votes[row] == classifier.predict(values[row : row + 1])[0]


def test_a_draw_goes_to_the_nearest():
    line = np.array([[0], [1], [3], [10]], np.float32)
    graph = embed.nearest(line, 3)
    assert voted(graph, np.array([0, 2, 1, 1]), 3)[0] == 2


def test_mistakes_are_counted_by_pairs():
    values, labels = blobs()
    wrong = labels.copy()
    wrong[:4] = 2  # four ants called cats
    found = separated(values, wrong)
    assert found.confused()[0] == ("cat", "ant", 4)


@pytest.mark.parametrize(
    "labels",
    [np.zeros(20, int), np.arange(20) % 2 * 0 + (np.arange(20) == 0), np.arange(20)],
    ids=["one class", "one image of another", "each its own"],
)
def test_classes_that_cannot_be_learnt_have_no_line(labels):
    found = separated(points(20), labels, names=tuple("abcdefghijklmnopqrst"))
    assert found.by_line is None
    assert len(found.probed) == 0
    assert found.as_dict()["linear_accuracy"] is None
