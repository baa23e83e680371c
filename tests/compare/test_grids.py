"""Maps on one grid of a picture: where the networks' cuts lie, and what is drawn between cells."""

import numpy as np

from features.compare.grids import Box, common, sampled
from features.rasters import enlarge


def test_two_cuts_are_compared_where_both_see_the_picture():
    tall, wide = Box(10, 0, 30, 40), Box(-5, 10, 45, 30)
    assert common((tall, wide), (40, 40)) == (10, 10, 30, 30)
    assert common((wide,), (40, 40)) == (0, 10, 40, 30)


def test_a_map_is_enlarged_as_overlays_are(random):
    values = random.normal(size=(7, 5)).astype(np.float32)
    box = Box(3, 4, 53, 74)
    np.testing.assert_allclose(sampled(values, box, box, 70), enlarge(values, (70, 70)), atol=1e-5)


def test_a_map_of_a_cut_lies_on_the_same_part_of_the_map_of_the_whole(random):
    values = random.normal(size=(8, 8))
    whole, cut = Box(0, 0, 80, 80), Box(20, 20, 60, 60)
    inner = Box(25, 25, 55, 55)  # between the centres of the cut's cells
    np.testing.assert_allclose(sampled(values, whole, inner, 30), sampled(values[2:6, 2:6], cut, inner, 30))


def test_a_slope_is_the_same_slope_in_either_cut():
    centres = np.arange(8) + 0.5
    slope = np.broadcast_to(centres * 10, (8, 8))  # the distance from the left edge
    region = Box(10, 10, 60, 60)
    wanted = 10 + (np.arange(25) + 0.5) * 2
    np.testing.assert_allclose(sampled(slope, Box(0, 0, 80, 80), region, 25)[3], wanted)
    np.testing.assert_allclose(sampled(slope.T, Box(0, 0, 80, 80), region, 25)[:, 3], wanted)


def test_what_is_flat_stays_exactly_flat():
    values = np.full((3, 3), 0.1, np.float32)
    assert np.unique(sampled(values, Box(0, 0, 9, 9), Box(0, 0, 7, 7), 11)).size == 1
