"""Trust scores against scikit-learn, hand counts and laws."""

import sys

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from features import embed
from features.neighbours.exact import Exact
from tests.embed.drawn import points


def scores(values, plane, k, seed=0):
    """Trustworthiness and recall over the k nearest others."""
    found = embed.trust(values, plane, embed.nearest(values, k + 1), seed)
    return found.trustworthiness, found.recall


def test_an_identical_map_is_trusted_fully():
    values = points(30, 2)
    assert scores(values, values, 5) == (1, 1)


def test_a_rotated_scaled_and_shifted_map_is_trusted_fully():
    values = points(30, 2)
    turned = values @ np.array([[0, -3], [3, 0]], dtype=np.float32) + 5
    assert scores(values, turned, 5) == pytest.approx((1, 1))


def test_a_shuffled_map_is_trusted_as_scikit_learn_says():
    values = points(40, 2)
    shuffled = np.random.default_rng(1).permutation(values)
    score, kept = scores(values, shuffled, 5)
    assert score == pytest.approx(trustworthiness(values, shuffled, n_neighbors=5))
    assert score < 0.7
    assert kept < 0.5


def test_kept_neighbours_are_those_counted_by_hand():
    # On a line at 0, 1, 3, 7, 15 and 31 everyone's nearest is the one to the left, but 0's is 1. On the map the first
    # and the last change places: now 31's is 1, 3's is 1 still, 15's is 7, 7's is 3, and of 1's and 0's only 1's
    # differs.
    line = np.array([[0], [1], [3], [7], [15], [31]], dtype=np.float32)
    swapped = line[[5, 1, 2, 3, 4, 0]]
    before = [1, 0, 1, 2, 3, 4]
    after = [4, 5, 1, 2, 3, 1]
    share = np.mean([one == other for one, other in zip(before, after, strict=True)])
    assert scores(line, swapped, 1)[1] == pytest.approx(share)


@pytest.mark.parametrize("k", [1, 4, 9, 15])
def test_trust_is_scikit_learns_and_kept_the_share_of_common_neighbours(k):
    values, plane = points(40, 12), points(40, 12)[:, :2]
    score, kept = scores(values, plane, k)
    assert score == pytest.approx(trustworthiness(values, plane, n_neighbors=k), rel=1e-9)
    sides = [NearestNeighbors(n_neighbors=k).fit(side).kneighbors(return_distance=False) for side in (values, plane)]
    common = [len(set(one) & set(other)) for one, other in zip(*map(np.ndarray.tolist, sides), strict=True)]
    assert kept == pytest.approx(np.mean(common) / k)


def test_copies_of_one_image_are_false_neighbours_of_none():
    assert scores(np.ones((12, 6), np.float32), points(12, 2), 3) == (1, 1)


def test_trust_of_a_large_map_is_estimated_from_a_part_drawn_with_the_seed(monkeypatch):
    monkeypatch.setattr(sys.modules["features.embed.trust"], "RANKED_ROWS", 30)
    values, plane = points(60), points(60)[:, :2]
    chosen = np.sort(np.random.default_rng(3).permutation(60)[:30])
    found = embed.trust(values, plane, embed.nearest(values, 6), seed=3)
    assert found.ranked == 30
    assert found.trustworthiness == pytest.approx(trustworthiness(values[chosen], plane[chosen], n_neighbors=5))
    assert len(found.points) == 60  # what needs no ranks is of all


def test_continuity_is_trustworthiness_with_the_sides_exchanged():
    values, plane = points(40, 12), points(40, 12)[:, :2]
    found = embed.trust(values, plane, embed.nearest(values, 6))
    assert found.continuity == pytest.approx(trustworthiness(plane, values, n_neighbors=5), rel=1e-9)


def test_each_point_is_trusted_by_the_share_of_its_own_neighbours():
    values = points(30, 2)
    plane = values.copy()
    plane[7] += 100  # whose neighbours on the map are none of its own
    found = embed.trust(values, plane, embed.nearest(values, 6))
    near = Exact(plane).nearest(plane[7:8], 6, np.array([7]))[0][0, 1:]
    true = Exact(values).nearest(values[7:8], 6, np.array([7]))[0][0, 1:]
    assert found.points[7] == pytest.approx(len(set(near) & set(true)) / 5)
    assert found.points[7] < found.points.mean()
    assert found.recall == pytest.approx(found.points.mean())
