"""Points in polygons: laws, and the definition carried out point by point."""

import numpy as np
import pytest

from features.embed.regions import inside
from features.errors import FeatureError

POINTS = np.random.default_rng(0).uniform(-1, 1, (4000, 2)).astype(np.float32)
SQUARE = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
TURNS = np.arange(5) * 2 * np.pi / 5
PENTAGON = np.stack([np.sin(TURNS), np.cos(TURNS)], axis=1)
PENTAGRAM = PENTAGON[[0, 2, 4, 1, 3]]


def by_definition(x: float, y: float, polygon: np.ndarray) -> bool:
    """Whether a ray to the right crosses an odd number of edges."""
    odd = False
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            odd = not odd
    return odd


def scribble(corners: int) -> np.ndarray:
    return np.random.default_rng(corners).uniform(-1.2, 1.2, (corners, 2))


@pytest.mark.parametrize("polygon", [SQUARE, PENTAGON, PENTAGRAM, scribble(3), scribble(40)])
def test_it_is_the_even_odd_rule(polygon):
    expected = [by_definition(float(x), float(y), polygon) for x, y in POINTS]
    np.testing.assert_array_equal(inside(POINTS, polygon), expected)


def test_the_middle_of_a_pentagram_is_outside_and_its_tips_are_inside():
    middle_and_tips = np.concatenate([[[0, 0]], 0.9 * PENTAGON])
    assert inside(middle_and_tips, PENTAGRAM).tolist() == [False, *[True] * 5]


@pytest.mark.parametrize("same", [SQUARE[::-1], np.roll(SQUARE, 1, axis=0), np.concatenate([SQUARE, SQUARE[:1]])])
def test_direction_start_and_a_repeated_corner_do_not_matter(same):
    np.testing.assert_array_equal(inside(POINTS, same), inside(POINTS, SQUARE))


def test_triangles_that_share_edges_share_no_point_and_leave_none_out():
    lattice = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0)), axis=-1).reshape(-1, 2)  # many on the edges
    middle, corners = np.array([4.0, 3.0]), np.array([[0, 0], [8, 0], [8, 8], [0, 8]], float)
    parts = [
        inside(lattice, np.array([middle, one, two])) for one, two in zip(corners, np.roll(corners, -1, 0), strict=True)
    ]
    whole = inside(lattice, corners)
    np.testing.assert_array_equal(np.sum(parts, axis=0), whole)
    assert whole.sum() == 64  # left and lower borders of 8 x 8, not the right and upper ones


@pytest.mark.parametrize("corners", [0, 1, 2])
def test_fewer_than_three_corners_enclose_nothing(corners):
    assert not inside(POINTS, SQUARE[:corners].reshape(-1, 2)).any()


def test_a_polygon_without_area_encloses_nothing():
    assert not inside(POINTS, np.array([[-1.0, -1], [1, 1], [0, 0]])).any()


def test_points_that_are_not_finite_are_outside():
    assert inside(np.array([[0, 0], [np.nan, 0], [0, np.inf], [-np.inf, np.nan]]), SQUARE).tolist() == [
        True,
        *[False] * 3,
    ]


@pytest.mark.parametrize(
    ("points", "polygon", "said"),
    [
        (POINTS[:, 0], SQUARE, "points of shape"),
        (POINTS, np.zeros((4, 3)), r"corners of shape \(number, 2\), but got \(4, 3\)"),
        (POINTS, np.array([[0, 0], [1, np.nan], [1, 1]]), "NaN"),
    ],
)
def test_other_shapes_and_corners_that_are_not_finite_are_told(points, polygon, said):
    with pytest.raises(FeatureError, match=said):
        inside(points, polygon)


def test_no_points_are_no_error():
    assert inside(np.empty((0, 2)), SQUARE).shape == (0,)
