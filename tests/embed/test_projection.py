"""Single maps: what they are, how they are made, and what cannot be laid out."""

import threading
import time
import warnings

import numpy as np
import pytest
from sklearn.decomposition import PCA

from features import embed
from features.embed import MapSettings
from features.errors import FeatureError
from features.neighbours import graphs
from features.progress import finish
from features.results import Provenance
from tests.embed.drawn import blobs, points, two_clusters

pytestmark = pytest.mark.xdist_group("umap")  # which is compiled once in a process


def test_pca_equals_the_two_leading_singular_directions():
    values = points(50) * [5, 4, 3, 1, 1, 1]
    centred = values - values.mean(0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    found = finish(embed.project(values, MapSettings("pca"))).points
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
    found = finish(embed.project(values, MapSettings("pca", 2))).points
    signs = np.sign((found * whole).sum(0))
    np.testing.assert_allclose(found * signs, whole, rtol=1e-5, atol=1e-5 * abs(whole).max())


def test_a_map_and_its_scores_stand_on_one_search_for_neighbours(monkeypatch):
    searched = []
    original = graphs.search

    def counted(features, k, seed):
        searched.append((features.shape, k))
        return original(features, k, seed)

    monkeypatch.setattr(graphs, "search", counted)
    values = points(30, seed=11)
    finish(embed.project(values))
    finish(embed.project(values, MapSettings("pca")))
    finish(embed.project(values, MapSettings(min_dist=0.5, neighbours=8)))
    assert searched == [((30, 6), 16)]  # the others found it in the cache


def test_pca_of_features_that_are_not_finite_is_an_error():
    with pytest.raises(FeatureError, match="NaN"):
        finish(embed.project(points(10) * np.nan, MapSettings("pca")))


def test_pca_of_points_on_a_plane_keeps_every_neighbour():
    plane = points(30, 2) @ np.random.default_rng(1).normal(size=(2, 9)).astype(np.float32)
    found = finish(embed.project(plane, MapSettings("pca")))
    assert (found.trust.trustworthiness, found.trust.recall) == pytest.approx((1, 1))


@pytest.mark.parametrize("method", embed.METHODS)
def test_copies_of_one_image_are_laid_out_without_a_warning(method):
    found = finish(embed.project(np.ones((12, 6), dtype=np.float32), MapSettings(method, 4)))
    assert np.isfinite(found.points).all()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_map():
    values = two_clusters()
    one, other = (finish(embed.project(values, MapSettings(neighbours=5, seed=3))).points for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_clusters_that_are_far_apart_stay_apart_on_the_map():
    found = finish(embed.project(two_clusters(), MapSettings(neighbours=5)))
    nearest = embed.nearest(found.points, 5).indices
    assert ((nearest < 20) == (np.arange(40) < 20)[:, None]).all()
    assert found.trust.trustworthiness > 0.8
    assert found.points.dtype == np.float32


@pytest.mark.parametrize("n_images", [4, 10])
@pytest.mark.parametrize("method", [name for name in embed.METHODS if name != "pacmap"])
def test_a_handful_of_images_is_enough_for_a_map(method, n_images):
    found = finish(embed.project(points(n_images), MapSettings(method)))
    assert found.points.shape == (n_images, 2)
    assert np.isfinite(found.points).all()
    assert found.settings.neighbours == n_images


def test_pacmap_says_how_many_images_it_needs():
    with pytest.raises(FeatureError, match="at least 50 images, but got 10"):
        finish(embed.project(points(10), MapSettings("pacmap")))


@pytest.mark.slow
@pytest.mark.parametrize("method", embed.METHODS)
def test_every_method_keeps_blobs_apart_and_repeats_its_map(method):
    values, labels = blobs()
    one, other = (finish(embed.project(values, MapSettings(method, 10, seed=2))) for _ in range(2))
    np.testing.assert_array_equal(one.points, other.points)
    near = embed.nearest(one.points, 6).indices
    assert (labels[near] == labels[:, None]).mean() > 0.97


@pytest.mark.slow
def test_a_map_without_a_seed_is_as_trusted_as_one_with():
    values, _ = blobs()
    seeded, free = (finish(embed.project(values, MapSettings(seed=seed))) for seed in (0, None))
    assert free.trust.trustworthiness == pytest.approx(seeded.trust.trustworthiness, abs=0.03)


def test_a_map_says_how_it_was_made():
    settings = MapSettings("pca", 4, 0.3, 7)
    found = finish(embed.project(points(10), settings, Provenance(model="drawn")))
    assert found.settings == settings
    assert found.provenance == Provenance(model="drawn")


@pytest.mark.slow
def test_a_fit_leaves_the_filters_of_warnings_as_they_were():
    before = list(warnings.filters)
    finish(embed.project(points(10)))
    assert warnings.filters == before


@pytest.mark.slow
def test_layouts_report_their_epochs():
    reports = [report for report in embed.project(two_clusters(), MapSettings(neighbours=5)) if report.unit == "epoch"]
    done = [report.done for report in reports]
    assert done == sorted(done)
    assert all(0 <= report.done <= report.total for report in reports)
    assert len(reports) >= 2


def fitting():
    return [thread for thread in threading.enumerate() if thread.name == "umap"]


@pytest.mark.slow
def test_closing_the_task_stops_the_layout():
    task = embed.project(points(3000), MapSettings(neighbours=30))
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
    alone = [finish(embed.project(values, MapSettings(neighbours=5))).points for values in inputs]
    together = {}

    def work(index):
        together[index] = finish(embed.project(inputs[index], MapSettings(neighbours=5))).points

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
        (points(10), {"method": "mds"}, "umap, pca"),
        (points(3), {}, "at least 4 images"),
        (points(10), {"neighbours": 1}, "at least 2 neighbours"),
        (points(10), {"min_dist": 1.5}, "min_dist from 0 to 1"),
        (points(10), {"min_dist": -0.1}, "min_dist from 0 to 1"),
        (points(10) * np.nan, {}, "NaN"),
    ],
)
def test_what_cannot_be_laid_out_is_an_error(values, settings, message):
    with pytest.raises(FeatureError, match=message):
        finish(embed.project(values, MapSettings(**settings)))
