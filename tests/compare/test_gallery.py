"""Pictures side by side: what lies where, and on which scale."""

import numpy as np
import pytest

from features import rasters
from features.compare.gallery import UNSEEN, Drawing, drawn, gallery
from features.compare.grids import Box
from features.compare.looks import looks
from features.compare.sights import Settings
from features.progress import finish
from tests.compare.test_looks import NAMES, N, images, maps_of, model


@pytest.fixture(scope="module")
def models():
    return model(0), model(1, crop=32)


@pytest.fixture(scope="module")
def told(models):
    return finish(gallery(*models, images(bad={2}, labels=np.arange(N) % 3), [7, 2, 4], Settings(stage="layer2"), 24))


def test_images_come_in_their_order_with_what_both_say_and_where_they_look(models, told):
    assert [(each.row, each.id, each.label) for each in told.pairs] == [(7, "7.png", "bee"), (4, "4.png", "bee")]
    assert [each.id for each in told.rejected] == ["2.png"]
    for number, each in enumerate(models):
        maps, said = maps_of(each, "layer2", [7, 4])
        for row, pair in enumerate(told.pairs):
            np.testing.assert_allclose(pair.sights[number].values, maps[row], rtol=1e-4, atol=1e-6)
            assert pair.sights[number].class_name == pair.sights[number].explained == NAMES[said[row]]
            assert 1 / 3 < pair.sights[number].confidence <= 1
    assert told.pairs[0].sights[1].box == Box(8, 8, 40, 40)
    assert told.pairs[0].picture.shape == (24, 24, 3)


def test_the_numbers_are_those_of_the_comparison(models, told):
    whole = finish(looks(*models, images(), [4, 7], Settings(stage="layer2")))
    assert [each.correlation for each in told.pairs[::-1]] == pytest.approx(whole.correlations.tolist(), abs=1e-4)
    assert [each.iou for each in told.pairs[::-1]] == pytest.approx(whole.ious.tolist(), abs=1e-2)


def test_a_heat_map_lies_over_what_its_network_sees_and_the_rest_is_dark(told):
    pair = told.pairs[0]
    one, other = drawn(pair, told.tap, Drawing(opacity=0.0))
    large = rasters.magnify(pair.picture, 160)
    np.testing.assert_array_equal(one, large)  # the whole picture, under no heat
    edge = large.shape[0] // 6  # 8 of 48 pixels
    np.testing.assert_array_equal(other[edge:-edge, edge:-edge], large[edge:-edge, edge:-edge])
    np.testing.assert_array_equal(other[:edge], np.rint(large[:edge] * UNSEEN))


def test_both_maps_share_a_scale_unless_each_is_to_have_its_own(told):
    pair = told.pairs[0]
    limits = [rasters.limit_of(each.values) for each in pair.sights]
    assert limits[0] != limits[1]
    weaker = int(np.argmin(limits))
    shared = drawn(pair, told.tap, Drawing("Gray", 1.0, one_scale=True))
    own = drawn(pair, told.tap, Drawing("Gray", 1.0, one_scale=False))
    np.testing.assert_array_equal(shared[1 - weaker], own[1 - weaker])
    assert shared[weaker].mean() < own[weaker].mean()
