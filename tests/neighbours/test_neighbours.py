"""Neighbours against brute force and a tree."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from features import neighbours
from features.errors import FeatureError
from features.neighbours import Exact, exact_gpu
from features.neighbours import neighbours as searched
from tests.embed.drawn import points


@pytest.mark.parametrize("offset", [0, 1000], ids=["centred", "far from the origin"])
def test_nearest_equals_the_neighbours_of_a_tree(offset):
    values = points(60) + offset
    distances, indices = NearestNeighbors(n_neighbors=8, algorithm="kd_tree").fit(values).kneighbors(values)
    found = neighbours.nearest(values, 8)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-5, atol=1e-6)


def test_a_point_is_its_own_first_neighbour_and_its_copies_are_at_distance_zero():
    values = np.concatenate([points(10), points(10), points(10)]) * 1000
    found = neighbours.nearest(values, 4)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(30))
    np.testing.assert_array_equal(found.distances[:, :3], 0)
    assert (found.distances[:, 3] > 0).all()
    copies = np.sort(found.indices[:, :3], axis=1)
    np.testing.assert_array_equal(copies, np.arange(30)[:, None] % 10 + [0, 10, 20])


def test_near_copies_are_in_order_however_far_from_the_origin_they_lie():
    steps = np.array([0, 1, 3, 7, 15], dtype=np.float32)  # of the last binary digit of 512
    values = np.full((5, 64), 512, dtype=np.float32)
    values[:, 0] += steps * np.spacing(np.float32(512))
    found = neighbours.nearest(np.concatenate([values, values + 512]), 5)
    assert found.indices[:5].tolist() == [
        [0, 1, 2, 3, 4],
        [1, 0, 2, 3, 4],
        [2, 1, 0, 3, 4],
        [3, 2, 1, 0, 4],
        [4, 3, 2, 1, 0],
    ]
    np.testing.assert_array_equal(found.distances[0], steps * np.spacing(np.float32(512)))


def test_a_point_with_more_copies_than_neighbours_is_its_own_first_all_the_same():
    found = neighbours.nearest(np.ones((9, 3), dtype=np.float32), 3)
    assert found.indices[:, 0].tolist() == list(range(9))
    assert all(len(set(row)) == 3 for row in found.indices.tolist())


def test_neighbours_at_equal_distance_come_in_their_order_in_the_set():
    cross = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=np.float32)
    assert neighbours.nearest(cross, 5).indices[0].tolist() == [0, 1, 2, 3, 4]


def test_all_rows_can_be_neighbours():
    found = neighbours.nearest(points(5), 5)
    np.testing.assert_array_equal(np.sort(found.indices, axis=1), [range(5)] * 5)


@pytest.mark.parametrize("k", [0, 6])
def test_more_neighbours_than_images_or_none_are_errors(k):
    with pytest.raises(FeatureError, match=f"{k} neighbours were asked for among 5"):
        neighbours.nearest(points(5), k)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_have_no_neighbours(value):
    values = points(5)
    values[2, 1] = value
    with pytest.raises(FeatureError, match="NaN or infinite"):
        neighbours.nearest(values, 2)


def test_where_there_is_a_gpu_many_rows_are_compared_with_all_others(monkeypatch):
    for name, value in (("EXACT_ROWS", 100), ("GPU_ROWS", 200)):
        monkeypatch.setattr(searched, name, value)
    values = np.concatenate([points(250, 12), points(50, 12)])  # some are copies
    monkeypatch.setattr(exact_gpu, "takes", lambda *shape: shape == (300, 12))
    monkeypatch.setattr(exact_gpu, "ExactOnGpu", partial(exact_gpu.ExactOnGpu, device="cpu"))
    found = neighbours.nearest(values, 11)
    indices, distances = Exact(values).nearest(values, 11, np.arange(300))
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-6)
    assert found.recall == 1


def test_a_gpu_is_not_asked_for_more_than_it_holds_or_does_in_minutes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (8 << 30, 16 << 30))
    assert exact_gpu.takes(1_000_000, 512)
    assert not exact_gpu.takes(1_000_000, 2048)  # 8 GB
    assert not exact_gpu.takes(10_000_000, 64)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not exact_gpu.takes(50_000, 64)


@pytest.mark.slow
@pytest.mark.xdist_group("umap")  # whose compiled code it shares
def test_above_the_limit_an_index_finds_nearly_all_and_says_how_many(monkeypatch):
    monkeypatch.setattr(searched, "EXACT_ROWS", 500)
    values = np.concatenate([points(800, 12), points(100, 12)])  # a hundred are copies
    exact, found = Exact(values).nearest(values, 11, np.arange(900)), neighbours.nearest(values, 11)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(900))
    assert (np.diff(found.distances, axis=1) >= 0).all()
    right = found.distances[:, 1:] <= exact[1][:, -1:] * (1 + 1e-5)
    assert right.mean() > 0.95
    assert found.recall == pytest.approx(right.mean(), abs=0.02)  # of 500 rows
    again = neighbours.nearest(values, 11)
    np.testing.assert_array_equal(again.indices, found.indices)


def test_distances_that_are_no_numbers_of_32_bits_are_an_error():
    values = points(40)
    brute = np.argsort(np.linalg.norm(values[:, None] - values[None], axis=2), axis=1)[:, :5]
    np.testing.assert_array_equal(neighbours.nearest(values * np.float32(1e14), 5).indices, brute)
    with pytest.raises(FeatureError, match="scale them"):
        neighbours.nearest(values * np.float32(1e19), 5)
