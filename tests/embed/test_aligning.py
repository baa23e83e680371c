"""Laying one map on another: exactly where that can be, and no neighbour changes."""

import numpy as np

from features import embed
from features.embed.aligning import similarity
from tests.embed.drawn import points

TURN = np.array([[0, -1], [1, 0]], np.float32)


def test_a_turned_mirrored_scaled_and_moved_map_is_laid_on_the_other_exactly():
    plane = points(30, 2)
    for turn in (TURN, np.array([[-1, 0], [0, 1]], np.float32)):
        np.testing.assert_allclose(embed.aligned(3 * plane @ turn + 7, plane), plane, atol=1e-5)


def test_laying_a_map_on_another_changes_no_neighbour():
    one, other = points(50, 2), points(50, 2, seed=1)
    laid = embed.aligned(one, other)
    np.testing.assert_array_equal(embed.nearest(laid, 6).indices, embed.nearest(one, 6).indices)
    assert np.linalg.norm(laid - other) <= np.linalg.norm(one - other)


def test_a_map_that_is_one_point_stays_where_it_is():
    np.testing.assert_array_equal(embed.aligned(np.ones((5, 2), np.float32), points(5, 2)), np.ones((5, 2)))


def test_a_point_is_laid_as_it_is_among_others_to_the_last_bit():
    one, other = points(200, 2), points(200, 2, seed=1)
    fit = similarity(one, other)
    alone = np.concatenate([fit.of(one[row : row + 1]) for row in range(200)])
    np.testing.assert_array_equal(alone, fit.of(one))
