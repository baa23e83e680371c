"""New images on maps: each where it would lie alone, and none that was there moves."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.decomposition import PCA

from features import embed
from features.embed import MapSettings, Placement
from features.embed.placing import median, strengths
from features.errors import FeatureError
from features.progress import finish
from tests.embed.drawn import blobs, points


def placement(values, method="umap", plane=None, k=8):
    """On a map whose points are drawn: where new ones lie does not ask how it was made."""
    plane = points(len(values), 2, seed=9) if plane is None else plane
    return Placement(values, plane, MapSettings(method, k))


@pytest.mark.parametrize("method", ["umap", "pca", "tsne"])
def test_a_batch_is_placed_as_its_images_are_one_by_one_in_any_order_and_number_of_threads(method):
    there = placement(points(700, 65), method)
    rows = points(90, 65, seed=1)
    together = there.place(rows).points
    order = np.random.default_rng(2).permutation(90)
    np.testing.assert_array_equal(there.place(rows[order]).points, together[order])
    threads = torch.get_num_threads()
    try:
        for number in (1, 4):
            torch.set_num_threads(number)
            np.testing.assert_array_equal(there.place(rows).points, together)
    finally:
        torch.set_num_threads(threads)
    for row in range(0, 90, 9):
        np.testing.assert_array_equal(there.place(rows[row : row + 1]).points[0], together[row])


def test_an_image_of_the_map_lies_where_it_lay():
    values, plane = points(40), points(40, 2, seed=1)
    placed = placement(values, plane=plane).place(values)
    np.testing.assert_array_equal(placed.points, plane)
    np.testing.assert_array_equal(placed.indices[:, 0], np.arange(40))


def test_on_a_map_by_principal_components_a_new_image_lies_where_it_projects():
    values, rows = points(50), points(9, seed=1)
    fitted = PCA(2, svd_solver="full").fit(values.astype(np.float64))
    mine = placement(values, "pca", fitted.transform(values)).place(rows).points
    np.testing.assert_allclose(mine, fitted.transform(rows), rtol=1e-4, atol=1e-5)


def test_an_image_of_a_map_by_principal_components_lies_where_it_lay_at_every_stage():
    stages = {"layer1": points(40, 8), "layer2": 100 * points(40, 8, seed=1) + 7}
    maps = finish(embed.stage_maps(stages, MapSettings("pca", 8)))
    for name, projection in maps.items():
        placed = Placement(stages[name], projection.points, projection.settings).place(stages[name])
        np.testing.assert_allclose(placed.points, projection.points, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
@pytest.mark.xdist_group("umap")
def test_new_images_of_a_class_lie_among_it():
    values, labels = blobs(60)
    known = np.arange(180) % 3 > 0
    projection = finish(embed.project(values[known]))
    placed = Placement(values[known], projection.points, projection.settings).place(values[~known])
    near = embed.Exact(projection.points).nearest(placed.points, 5)[0]
    assert (labels[known][near] == labels[~known][:, None]).mean() > 0.97


def test_the_nearest_images_are_told_with_their_distances():
    values, rows = points(40), points(3, seed=1)
    placed = placement(values).place(rows)
    distances = np.linalg.norm(values[None] - rows[:, None], axis=2)
    np.testing.assert_array_equal(placed.indices, np.argsort(distances, axis=1)[:, :8])
    np.testing.assert_allclose(placed.distances, np.sort(distances, axis=1)[:, :8], rtol=1e-5)


@pytest.mark.parametrize(
    ("rows", "message"), [(points(2, 5), "6 features"), (points(6)[0], "6 features"), (points(2) * np.nan, "NaN")]
)
def test_what_cannot_be_placed_is_an_error(rows, message):
    with pytest.raises(FeatureError, match=message):
        placement(points(20)).place(rows)


def test_neighbours_weigh_by_the_rule_of_umap():
    from umap.umap_ import smooth_knn_dist

    distances = np.sort(np.random.default_rng(0).random((5, 16)).astype(np.float32) + 0.1, axis=1)
    # UMAP leaves out the first of a row, which is the point itself, and sums the others to log2(k).
    sigmas, rhos = smooth_knn_dist(np.pad(distances, ((0, 0), (1, 0))), 17.0, bandwidth=4 / np.log2(17))
    for row, sigma, rho in zip(distances, sigmas, rhos, strict=True):
        mine = strengths(row.astype(np.float64))
        assert mine.sum() == pytest.approx(4)  # log2(16)
        np.testing.assert_allclose(mine, np.exp(-(row - rho) / sigma), rtol=1e-3)


@pytest.mark.parametrize(
    ("distances", "weights"),
    [([0, 0, 1], [1, 1, 0]), ([2, 2, 2], [1, 1, 1]), ([0.5], [1]), ([1e-30, 1e30], [1, 0])],
)
def test_copies_and_equal_distances_have_weights_too(distances, weights):
    np.testing.assert_allclose(strengths(np.array(distances, float)), weights, atol=1e-6)


def test_the_median_is_where_the_sum_of_distances_is_least():
    generator = np.random.default_rng(0)
    for _ in range(10):
        cloud, weights = generator.normal(size=(9, 2)), generator.random(9)

        def total(at, cloud=cloud, weights=weights):
            return (weights * np.linalg.norm(cloud - at, axis=1)).sum()

        mine = median(cloud, weights)
        np.testing.assert_allclose(mine, minimize(total, mine + 0.1, method="Nelder-Mead").x, atol=1e-3)


def test_the_median_stays_with_the_many():
    many = np.array([[0, 0], [0.1, 0], [0, 0.1], [0.1, 0.1], [100, 100]])
    assert np.linalg.norm(median(many, np.ones(5))) < 0.2
    np.testing.assert_array_equal(median(np.ones((4, 2)), np.ones(4)), [1, 1])
