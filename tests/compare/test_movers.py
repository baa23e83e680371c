"""Images whose neighbours changed, against neighbours that are known."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from features.compare.movers import MoverSettings, movers
from features.embed import MapSettings, project
from features.errors import FeatureError
from features.progress import finish

PCA = MapSettings("pca")
GROUPS, EACH, WIDTH = 4, 10, 6


def grouped(random):
    """Features of four groups far apart, and the same with image 3 in the group of image 35."""
    centres = 100 * np.eye(GROUPS, WIDTH)
    groups = np.repeat(np.arange(GROUPS), EACH)
    first = centres[groups] + random.normal(size=(len(groups), WIDTH))
    second = first.copy()
    second[3] = centres[3] + random.normal(size=WIDTH)
    return first.astype(np.float32), second.astype(np.float32)


def ids(n):
    return [f"{number}.png" for number in range(n)]


def test_the_image_that_went_to_another_group_comes_first(random):
    first, second = grouped(random)
    told = finish(movers({"a": first, "b": second}, ids(40), MoverSettings(PCA, k=5)))
    assert told.order[0] == 3
    assert told.changed[3] == 1
    assert told.changed[10:30].tolist() == [0] * 20  # of groups that it neither left nor joined
    assert told.moved.argmax() == 3
    assert told.chance == pytest.approx(1 - 5 / 39)


def test_the_share_is_that_of_neighbours_that_a_library_tells(random):
    first, second = random.normal(size=(30, 8)).astype(np.float32), random.normal(size=(30, 5)).astype(np.float32)
    told = finish(movers({"a": first, "b": second}, ids(30), MoverSettings(PCA, k=7)))
    near = [NearestNeighbors(n_neighbors=7).fit(values).kneighbors(return_distance=False) for values in (first, second)]
    wanted = [1 - len({*one} & {*other}) / 7 for one, other in zip(*(each.tolist() for each in near), strict=True)]
    np.testing.assert_allclose(told.changed, wanted, atol=1e-6)
    assert told.changed[told.order].tolist() == sorted(told.changed.tolist(), reverse=True)


def test_features_that_are_turned_and_scaled_change_no_neighbour_and_lie_on_each_other(random):
    first = random.normal(size=(40, 6)) * [9, 5, 1, 1, 1, 1]
    turn, _ = np.linalg.qr(random.normal(size=(6, 6)))
    told = finish(movers({"a": first, "b": 3 * first @ turn + 7}, ids(40), MoverSettings(PCA)))
    assert not told.changed.any()
    np.testing.assert_allclose(told.points[1], told.points[0], atol=1e-3)
    assert told.apart == pytest.approx(0, abs=1e-5)
    assert told.moved.max() < 1e-3


def test_the_first_map_is_that_of_its_features_alone(random):
    first, second = grouped(random)
    told = finish(movers({"a": first, "b": second}, ids(40), MoverSettings(PCA)))
    alone = finish(project(first, PCA))
    np.testing.assert_array_equal(told.points[0], alone.points)
    assert told.trust[0].scores() == alone.trust.scores()


def test_of_strangers_as_many_neighbours_change_as_by_chance(random):
    features = {name: random.normal(size=(400, 20)).astype(np.float32) for name in "ab"}
    told = finish(movers(features, ids(400), MoverSettings(PCA)))
    assert told.changed.mean() == pytest.approx(told.chance, abs=0.02)


def test_a_part_of_many_images_is_drawn_and_told(random):
    first, second = grouped(random)
    told = finish(movers({"a": first, "b": second}, ids(40), MoverSettings(PCA, k=5, n_images=16)))
    assert (len(told), told.as_dict()["n_asked"]) == (16, 40)
    assert [*told.ids] == [f"{row}.png" for row in told.rows]
    np.testing.assert_array_equal(told.points[0], finish(project(first[told.rows], PCA)).points)


def test_few_images_have_few_neighbours(random):
    features = {name: random.normal(size=(5, 3)).astype(np.float32) for name in "ab"}
    told = finish(movers(features, ids(5), MoverSettings(PCA)))
    assert (told.k, told.chance) == (4, 0)
    assert not told.changed.any()  # all others are neighbours


@pytest.mark.slow
@pytest.mark.xdist_group("umap")
def test_maps_by_umap_lie_on_each_other(random):
    """Two networks that see the same digits each with a noise of its own, the second turned besides. A map by itself
    shares less, or as much by chance: groups that do not attract each other lie anywhere.
    """
    digits = load_digits()
    pixels, classes = digits.data[:500], digits.target[:500]
    turn, _ = np.linalg.qr(random.normal(size=(64, 64)))
    first, second = (pixels + random.normal(size=pixels.shape), pixels @ turn + random.normal(size=pixels.shape))
    features = {"a": first.astype(np.float32), "b": second.astype(np.float32)}
    told = finish(movers(features, ids(500), MoverSettings(MapSettings("umap"))))
    assert told.apart < 0.2
    centres = [np.stack([points[classes == digit].mean(0) for digit in range(10)]) for points in told.points]
    gaps = np.linalg.norm(centres[0][:, None] - centres[1], axis=2)
    assert (gaps.argmin(1) == np.arange(10)).sum() >= 8
    alone = finish(project(features["b"], MapSettings("umap")))
    assert told.trust[1].trustworthiness > alone.trust.trustworthiness - 0.01  # no worse for where it began


def test_the_table_and_json_hold_all(random):
    first, second = grouped(random)
    told = finish(movers({"a": first, "b": second}, ids(40), MoverSettings(PCA, k=5)))
    table = told.table()
    assert table["id"].tolist() == ids(40)
    np.testing.assert_array_equal(table["changed"], told.changed)
    content = json.loads(json.dumps(told.as_dict(), allow_nan=False))
    assert content["settings"]["method"] == "pca"
    assert content["changed"] == pytest.approx(told.changed.mean())


def test_what_makes_no_sense_is_refused(random):
    first, second = grouped(random)
    with pytest.raises(FeatureError, match="same images"):
        finish(movers({"a": first, "b": second[:30]}, ids(40)))
    with pytest.raises(FeatureError, match="1 to 15 neighbours"):
        finish(movers({"a": first, "b": second}, ids(40), MoverSettings(k=40)))
    with pytest.raises(FeatureError, match="at least 4"):
        finish(movers({"a": first[:2], "b": second[:2]}, ids(2), MoverSettings(k=1)))
