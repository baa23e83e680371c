"""Neighbours, trust scores and maps against brute force, scikit-learn and closed forms."""

import sys
import threading
import time
import warnings

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from features import embed
from features.errors import FeatureError
from features.progress import finish
from features.results import Provenance

pytestmark = pytest.mark.xdist_group("umap")  # which is compiled once in a process


def points(n_rows, width=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, width)).astype(np.float32)


def two_clusters(n_each=20):
    """Rows 0..n-1 around the origin, the others far away along the first axis."""
    values = points(2 * n_each)
    values[n_each:, 0] += 50
    return values


@pytest.mark.parametrize("offset", [0, 1000], ids=["centred", "far from the origin"])
def test_nearest_equals_the_neighbours_of_a_tree(offset):
    values = points(60) + offset
    distances, indices = NearestNeighbors(n_neighbors=8, algorithm="kd_tree").fit(values).kneighbors(values)
    found = embed.nearest(values, 8)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-5, atol=1e-6)


def test_a_point_is_its_own_first_neighbour_and_its_copies_are_at_distance_zero():
    values = np.concatenate([points(10), points(10), points(10)]) * 1000
    found = embed.nearest(values, 4)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(30))
    np.testing.assert_array_equal(found.distances[:, :3], 0)
    assert (found.distances[:, 3] > 0).all()
    copies = np.sort(found.indices[:, :3], axis=1)
    np.testing.assert_array_equal(copies, np.arange(30)[:, None] % 10 + [0, 10, 20])


def test_near_copies_are_in_order_however_far_from_the_origin_they_lie():
    steps = np.array([0, 1, 3, 7, 15], dtype=np.float32)  # of the last binary digit of 512
    values = np.full((5, 64), 512, dtype=np.float32)
    values[:, 0] += steps * np.spacing(np.float32(512))
    found = embed.nearest(np.concatenate([values, values + 512]), 5)
    assert found.indices[:5].tolist() == [
        [0, 1, 2, 3, 4],
        [1, 0, 2, 3, 4],
        [2, 1, 0, 3, 4],
        [3, 2, 1, 0, 4],
        [4, 3, 2, 1, 0],
    ]
    np.testing.assert_array_equal(found.distances[0], steps * np.spacing(np.float32(512)))


def test_a_point_with_more_copies_than_neighbours_is_its_own_first_all_the_same():
    found = embed.nearest(np.ones((9, 3), dtype=np.float32), 3)
    assert found.indices[:, 0].tolist() == list(range(9))
    assert all(len(set(row)) == 3 for row in found.indices.tolist())


def test_neighbours_at_equal_distance_come_in_their_order_in_the_set():
    cross = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=np.float32)
    assert embed.nearest(cross, 5).indices[0].tolist() == [0, 1, 2, 3, 4]


def test_all_rows_can_be_neighbours():
    found = embed.nearest(points(5), 5)
    np.testing.assert_array_equal(np.sort(found.indices, axis=1), [range(5)] * 5)


@pytest.mark.parametrize("k", [0, 6])
def test_more_neighbours_than_images_or_none_are_errors(k):
    with pytest.raises(FeatureError, match=f"{k} neighbours were asked for among 5"):
        embed.nearest(points(5), k)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_have_no_neighbours(value):
    values = points(5)
    values[2, 1] = value
    with pytest.raises(FeatureError, match="NaN or infinite"):
        embed.nearest(values, 2)


def test_an_identical_map_is_trusted_fully():
    values = points(30, 2)
    assert embed.trust(values, values, 5) == (1, 1)


def test_a_rotated_scaled_and_shifted_map_is_trusted_fully():
    values = points(30, 2)
    turned = values @ np.array([[0, -3], [3, 0]], dtype=np.float32) + 5
    assert embed.trust(values, turned, 5) == pytest.approx((1, 1))


def test_a_shuffled_map_is_trusted_as_scikit_learn_says():
    values = points(40, 2)
    shuffled = np.random.default_rng(1).permutation(values)
    score, kept = embed.trust(values, shuffled, 5)
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
    assert embed.trust(line, swapped, 1)[1] == pytest.approx(share)


@pytest.mark.parametrize("k", [1, 4, 9, 19])
def test_trust_is_scikit_learns_and_kept_the_share_of_common_neighbours(k):
    values, plane = points(40, 12), points(40, 12)[:, :2]
    score, kept = embed.trust(values, plane, k)
    assert score == pytest.approx(trustworthiness(values, plane, n_neighbors=k), rel=1e-9)
    sides = [NearestNeighbors(n_neighbors=k).fit(side).kneighbors(return_distance=False) for side in (values, plane)]
    common = [len(set(one) & set(other)) for one, other in zip(*map(np.ndarray.tolist, sides), strict=True)]
    assert kept == pytest.approx(np.mean(common) / k)


def test_copies_of_one_image_are_false_neighbours_of_none():
    assert embed.trust(np.ones((12, 6), np.float32), points(12, 2), 3) == (1, 1)


def test_trust_of_a_large_map_is_estimated_from_a_part_drawn_with_the_seed(monkeypatch):
    monkeypatch.setattr(sys.modules["features.embed.trust"], "TRUST_LIMIT", 30)
    values, plane = points(60), points(60)[:, :2]
    chosen = np.sort(np.random.default_rng(3).permutation(60)[:30])
    assert embed.trust(values, plane, 5, seed=3) == embed.trust(values[chosen], plane[chosen], 5)
    assert embed.trust(values, plane, 5, seed=3) != embed.trust(values, plane, 5, seed=4)


def test_pca_equals_the_two_leading_singular_directions():
    values = points(50) * [5, 4, 3, 1, 1, 1]
    centred = values - values.mean(0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    found = finish(embed.project(values, "pca")).points
    np.testing.assert_allclose(abs(found), abs(left[:, :2] * singular[:2]), rtol=1e-4, atol=1e-4)
    theirs = PCA(2).fit_transform(values)
    signs = np.sign((found * theirs).sum(0))
    np.testing.assert_allclose(found * signs, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_rows", "width"), [(40, 6), (4, 6), (30, 600), (600, 30), (530, 520)], ids=lambda number: str(number)
)
@pytest.mark.parametrize("decay", [0, 1], ids=["flat", "decaying"])
def test_every_way_to_the_principal_components_is_the_whole_decomposition(n_rows, width, decay):
    values = points(n_rows, width) * np.arange(1, width + 1, dtype=np.float32) ** -decay + 3
    whole = PCA(2, svd_solver="full").fit_transform(values.astype(np.float64))
    found = finish(embed.project(values, "pca", n_neighbors=2)).points
    signs = np.sign((found * whole).sum(0))
    np.testing.assert_allclose(found * signs, whole, rtol=1e-5, atol=1e-5 * abs(whole).max())


def test_pca_looks_for_no_neighbours_in_the_features(monkeypatch):
    asked = []
    original = embed.trust.__globals__["nearest"]

    def counted(values, k):
        asked.append(values.shape)
        return original(values, k)

    for module in ("features.embed.projection", "features.embed.trust"):
        monkeypatch.setattr(sys.modules[module], "nearest", counted)
    finish(embed.project(points(30), "pca"))
    assert asked == [(30, 2)]  # once, on the map, for the scores


def test_pca_of_features_that_are_not_finite_is_an_error():
    with pytest.raises(FeatureError, match="NaN"):
        finish(embed.project(points(10) * np.nan, "pca"))


def test_pca_of_points_on_a_plane_keeps_every_neighbour():
    plane = points(30, 2) @ np.random.default_rng(1).normal(size=(2, 9)).astype(np.float32)
    found = finish(embed.project(plane, "pca"))
    assert (found.trustworthiness, found.kept) == pytest.approx((1, 1))


@pytest.mark.parametrize("method", embed.METHODS)
def test_copies_of_one_image_are_laid_out_without_a_warning(method):
    found = finish(embed.project(np.ones((12, 6), dtype=np.float32), method, n_neighbors=4))
    assert np.isfinite(found.points).all()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_map():
    values = two_clusters()
    one, other = (finish(embed.project(values, n_neighbors=5, seed=3)).points for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_clusters_that_are_far_apart_stay_apart_on_the_map():
    found = finish(embed.project(two_clusters(), n_neighbors=5))
    nearest = embed.nearest(found.points, 5).indices
    assert ((nearest < 20) == (np.arange(40) < 20)[:, None]).all()
    assert found.trustworthiness > 0.8
    assert found.points.dtype == np.float32


@pytest.mark.parametrize("n_images", [4, 10])
@pytest.mark.parametrize("method", embed.METHODS)
def test_a_handful_of_images_is_enough_for_a_map(method, n_images):
    found = finish(embed.project(points(n_images), method))
    assert found.points.shape == (n_images, 2)
    assert np.isfinite(found.points).all()
    assert found.neighbours == n_images - 1


def test_a_map_says_how_it_was_made():
    found = finish(embed.project(points(10), "pca", 4, 0.3, 7, Provenance(model="drawn")))
    assert (found.method, found.neighbours, found.min_dist, found.seed) == ("pca", 4, 0.3, 7)
    assert found.provenance == Provenance(model="drawn")


@pytest.mark.slow
def test_a_fit_leaves_the_filters_of_warnings_as_they_were():
    before = list(warnings.filters)
    finish(embed.project(points(10)))
    assert warnings.filters == before


@pytest.mark.slow
def test_layouts_report_their_epochs():
    reports = [report for report in embed.project(two_clusters(), n_neighbors=5) if report.unit == "epoch"]
    done = [report.done for report in reports]
    assert done == sorted(done)
    assert all(0 <= report.done <= report.total for report in reports)
    assert len(reports) >= 2


def fitting():
    return [thread for thread in threading.enumerate() if thread.name == "umap"]


@pytest.mark.slow
def test_closing_the_task_stops_the_layout():
    task = embed.project(points(3000), n_neighbors=30)
    for report in task:
        if report.unit == "epoch" and report.done > 0:
            break
    assert len(fitting()) == 1
    task.close()
    began = time.monotonic()
    while fitting() and time.monotonic() - began < 5:
        time.sleep(0.05)
    assert not fitting()


@pytest.mark.slow
def test_maps_that_are_asked_for_at_once_are_those_made_one_by_one():
    inputs = [points(30, seed=seed) for seed in range(3)]
    alone = [finish(embed.project(values, n_neighbors=5)).points for values in inputs]
    together = {}

    def work(index):
        together[index] = finish(embed.project(inputs[index], n_neighbors=5)).points

    threads = [threading.Thread(target=work, args=[index]) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, expected in enumerate(alone):
        np.testing.assert_array_equal(together[index], expected)


@pytest.mark.slow
def test_an_error_inside_the_layout_reaches_the_caller(monkeypatch):
    def fail(*arguments, **settings):
        raise MemoryError("no room")

    monkeypatch.setattr("umap.UMAP", fail)
    with pytest.raises(MemoryError, match="no room"):
        finish(embed.project(points(10)))


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        (points(10), {"method": "tsne"}, "umap, pca"),
        (points(3), {}, "at least 4 images"),
        (points(10), {"n_neighbors": 1}, "at least 2 neighbours"),
        (points(10), {"min_dist": 1.5}, "min_dist from 0 to 1"),
        (points(10), {"min_dist": -0.1}, "min_dist from 0 to 1"),
        (points(10) * np.nan, {}, "NaN"),
    ],
)
def test_what_cannot_be_laid_out_is_an_error(values, settings, message):
    with pytest.raises(FeatureError, match=message):
        finish(embed.project(values, **settings))


def test_what_moves_is_laid_on_the_plane_of_what_it_was():
    before = points(40)
    found = embed.moved(before, before + 3)
    plane = PCA(2).fit(before)
    np.testing.assert_allclose(np.abs(found.before), np.abs(plane.transform(before)), atol=1e-4)
    shift = found.after - found.before
    np.testing.assert_allclose(shift, np.repeat(shift[:1], 40, axis=0), atol=1e-4)  # all have gone the same way
    assert found.explained == pytest.approx(plane.explained_variance_ratio_.sum(), rel=1e-4)


def test_what_moved_is_of_the_same_images_and_has_a_plane():
    with pytest.raises(FeatureError, match="the same images"):
        embed.moved(points(10), points(9))
    with pytest.raises(FeatureError, match="two of both"):
        embed.moved(points(1), points(1))
