"""Maps of several stages: laid on each other, compared, and what changes between them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import procrustes

from features import embed
from features.embed import MapSettings
from features.errors import FeatureError
from features.progress import finish
from tests.embed.drawn import blobs, points

pytestmark = pytest.mark.xdist_group("umap")

TURN = np.array([[0, -1], [1, 0]], np.float32)


def pca_maps(**stages):
    return finish(embed.stage_maps(stages, MapSettings("pca", 6)))


def test_rotated_and_permuted_features_have_the_same_neighbours():
    values = points(60, 6)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0].astype(np.float32)
    wanted = embed.nearest(values, 8).indices
    np.testing.assert_array_equal(embed.nearest(values @ turn, 8).indices, wanted)
    np.testing.assert_array_equal(embed.nearest(values[:, [3, 0, 5, 1, 2, 4]], 8).indices, wanted)


def test_the_same_stage_twice_has_neither_drift_nor_turnover():
    values = points(40)
    maps = pca_maps(layer1=values, layer2=values @ np.diag([1, 1, 1, 1, 1, -1]).astype(np.float32))
    np.testing.assert_allclose(embed.drift(maps), 0, atol=1e-4)
    np.testing.assert_array_equal(embed.turnover(maps, 5), 0)


def test_turnover_is_the_share_of_neighbours_that_are_new():
    line = np.arange(6, dtype=np.float32)
    one = np.stack([line**2, np.zeros(6)], axis=1).astype(np.float32)
    maps = pca_maps(layer1=one, layer2=one[[1, 0, 2, 3, 4, 5]])
    before, after = (embed.nearest(values, 3).indices[:, 1:] for values in (one, one[[1, 0, 2, 3, 4, 5]]))
    wanted = [1 - len(set(a) & set(b)) / 2 for a, b in zip(before.tolist(), after.tolist(), strict=True)]
    np.testing.assert_allclose(embed.turnover(maps, 2)[:, 0], wanted)


def test_drift_is_in_widths_of_the_map():
    maps = pca_maps(layer1=points(40), layer2=points(40))
    steps = replace(maps["layer1"], points=maps["layer1"].points + np.array([3, 4], np.float32))
    moved = embed.StageMaps({"layer1": steps, "layer2": maps["layer2"]})
    width = np.sqrt(np.square(maps["layer2"].points - maps["layer2"].points.mean(0)).sum(1).mean())
    np.testing.assert_allclose(embed.drift(moved)[:, 0], 5 / width, rtol=1e-4)


def test_a_group_that_falls_apart_coheres_by_chance_alone():
    values, labels = blobs()
    maps = pca_maps(layer1=points(90, 8), layer2=values)
    cohesion = embed.cohesion(maps, np.flatnonzero(labels == 0), 5)
    assert cohesion["layer2"] > 0.95
    assert cohesion["layer1"] == pytest.approx(30 / 90, abs=0.15)


@pytest.mark.slow
def test_maps_in_one_frame_are_nearer_to_each_other_and_trusted_as_those_made_alone():
    values, _ = blobs(40, 4)
    stages = {f"layer{number}": values + number * points(160, 8, seed=number) for number in (3, 2, 1)}
    maps = finish(embed.stage_maps(stages))
    alone = {name: finish(embed.project(features)) for name, features in stages.items()}
    for name in stages:
        assert maps[name].trust.trustworthiness == pytest.approx(alone[name].trust.trustworthiness, abs=0.01)
    together = procrustes(maps["layer3"].points, maps["layer2"].points)[2]
    assert together <= procrustes(alone["layer3"].points, alone["layer2"].points)[2] + 0.01


def test_pooled_features_that_are_the_last_stages_have_its_map():
    values = points(30)
    maps = pca_maps(layer3=values, pool=values.copy())
    assert maps["pool"].points is maps["layer3"].points
    assert maps["pool"].provenance.settings["stage"] == "pool"


def test_pca_has_no_other_seed():
    stages = {"layer1": points(20), "layer2": points(20, seed=1)}
    assert finish(embed.reseeded(stages, pca_maps(**stages))) == {"layer1": 0.0, "layer2": 0.0}


@pytest.mark.slow
def test_the_map_of_another_seed_is_the_one_that_is_made_with_it():
    stages = {"layer1": points(60), "layer2": points(60, seed=1)}
    maps, others = (finish(embed.stage_maps(stages, MapSettings(seed=seed))) for seed in (4, 5))
    distances = finish(embed.reseeded(stages, maps))
    assert distances["layer2"] == pytest.approx(procrustes(maps["layer2"].points, others["layer2"].points)[2])
    assert 0 < distances["layer1"] <= 1


def test_the_distance_of_maps_forgets_how_they_are_turned():
    plane = points(30, 2)
    assert embed.distance(plane, 2 * plane @ TURN - 5) == pytest.approx(0, abs=1e-9)
    assert embed.distance(plane, np.ones_like(plane)) == 1
    assert embed.distance(np.ones_like(plane), np.ones_like(plane)) == 0


def test_an_error_names_its_stage():
    with pytest.raises(FeatureError, match=r"layer1 \(2 of 2\): .*NaN"):
        pca_maps(layer1=points(20) * np.nan, layer2=points(20))


def test_reports_name_the_stage_and_how_many_there_are():
    notes = [report.note for report in embed.stage_maps({"layer1": points(20), "layer2": points(20, seed=1)})]
    assert notes[0].startswith("layer2 (1 of 2): ")
    assert notes[-1].startswith("layer1 (2 of 2): ")
