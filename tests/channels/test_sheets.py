"""Sheets: every map and filter at its place."""

import numpy as np
from PIL import Image

from features import channels, rasters
from features.channels.sheets import FILTER_SIDE, colours_of, filter_sheet, map_sheet, shared_limit
from tests.channels.made import drawn_model
from tests.networks.unusual import BASIC, PREACTIVATION, UNUSUAL

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8))


def test_maps_lie_row_by_row_in_the_colours_of_one_scale():
    values = np.stack([np.full((2, 2), value, np.float32) for value in (0, 1, 2)])
    sheet = map_sheet(values, "Gray", 2.0, columns=2, side=4)
    assert sheet.shape == (8, 8, 3)
    assert [sheet[y, x, 0] for y, x in ((1, 1), (1, 5), (5, 1))] == [0, 128, 255]
    assert (sheet[4:, 4:] == 255).all()  # nothing lies there


def test_of_a_scale_each_every_map_reaches_its_end():
    values = np.stack([np.full((2, 2), value, np.float32) for value in (0.1, 2)])
    assert (map_sheet(values, "Gray", None, columns=2, side=4) == 255).all()


def test_one_channel_far_above_all_others_does_not_leave_these_dark(random):
    values = random.uniform(0, 1, (300, 4, 4)).astype(np.float32)
    values[7, 0, 0] = 1000
    assert 0.9 < shared_limit(values, signed=False) <= 1
    sparse = np.zeros((300, 4, 4), np.float32)
    sparse[7, 0, 0] = 5
    assert shared_limit(sparse, signed=False) == 5


def test_colours_have_a_middle_where_maps_go_below_zero():
    model = drawn_model(BASIC)
    for part in channels.PARTS:  # of a shortcut that hands on what is above 0, too
        maps = channels.feature_maps(model, PICTURE, "layer2.1", part)
        assert colours_of(maps) in (rasters.RECTIFIED if part == "output" else rasters.SIGNED)
    below = channels.feature_maps(drawn_model(PREACTIVATION), PICTURE, "layer2.1")
    assert below.values.min() < 0
    assert colours_of(below) in rasters.SIGNED


def test_filters_in_colours_are_a_picture_each_and_planes_a_row_each():
    colours = channels.filters(drawn_model(BASIC))  # 8 filters
    sheet = filter_sheet(colours, range(8), columns=4)
    assert sheet.shape == (2 * FILTER_SIDE, 4 * FILTER_SIDE, 3)
    np.testing.assert_array_equal(sheet[FILTER_SIDE + 1, 1], colours.pictures(4)[0, 0, 0])
    planes = channels.filters(drawn_model(UNUSUAL["five channels"]))
    sheet = filter_sheet(planes, [3, 1])
    assert sheet.shape == (2 * FILTER_SIDE, 5 * FILTER_SIDE, 3)
    np.testing.assert_array_equal(sheet[FILTER_SIDE + 1, 2 * FILTER_SIDE + 1], planes.pictures(1)[2, 0, 0])
