"""Pixels counted by hand, and the same pictures by torch, plotly and Pillow."""

import base64
import io

import numpy as np
import plotly.colors
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from features import rasters

RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.integers(0, 256, (6, 9, 3), dtype=np.uint8)
HEAT = RANDOM.integers(0, 256, (6, 9, 3), dtype=np.uint8)
MAP = RANDOM.normal(size=(4, 7)).astype(np.float32)
RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)


def plain(colour, width, height):
    return Image.new("RGB", (width, height), colour)


# --- colours ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Inferno", "Viridis", "Cividis", "Turbo"])
def test_a_colour_table_equals_plotlys(name):
    table = rasters.colour_table(name)
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    theirs = plotly.colors.sample_colorscale(name, np.linspace(0, 1, 256).tolist(), colortype="tuple")
    np.testing.assert_allclose(table, np.array(theirs) * 255, atol=1)


@pytest.mark.parametrize("name", rasters.SIGNED)
def test_signed_colours_are_as_far_from_the_middle_on_both_sides(name):
    """In brightness, so that neither side looks stronger than the other."""
    shine = rasters.colour_table(name).astype(float) @ (0.2126, 0.7152, 0.0722)
    middle = shine[127:129].mean()
    assert abs(abs(shine[0] - middle) - abs(shine[255] - middle)) < 40
    assert all(abs(shine[end] - middle) > 100 for end in (0, 255))


@pytest.mark.parametrize("name", rasters.RECTIFIED)
def test_the_most_is_brighter_than_nothing_in_every_colour_table(name):
    nothing, most = rasters.colour_table(name)[[0, 255]].astype(float) @ (0.2126, 0.7152, 0.0722)
    assert most > nothing


# --- maps -------------------------------------------------------------------------------------------------------------


def test_a_scaled_map_is_each_positive_value_as_a_share_of_the_largest():
    values = np.array([[-3.0, 0.0, 1.0], [2.0, 4.0, -0.5]])
    np.testing.assert_array_equal(rasters.scaled(values), [[0, 0, 0.25], [0.5, 1, 0]])
    assert rasters.scaled(values).dtype == np.float32


def test_zero_stays_zero_however_small_the_largest_value_is():
    np.testing.assert_array_equal(rasters.scaled(np.array([[0.0, 1e-30, -1e30]])), [[0, 1, 0]])


@pytest.mark.parametrize("values", [np.full((2, 3), -1.5), np.zeros((2, 3)), np.zeros((0, 3))])
def test_a_map_without_positive_values_is_all_zero(values):
    found = rasters.scaled(values)
    assert found.shape == values.shape
    assert not found.any()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_map_that_holds_no_number_is_an_error(broken):
    with pytest.raises(ValueError, match="NaN or infinite"):
        rasters.scaled(np.array([[1.0, broken]]))


@pytest.mark.parametrize("factor", [1e-6, 0.3, 7, 1e6])
def test_the_scale_of_a_map_does_not_matter(factor):
    np.testing.assert_allclose(rasters.scaled(MAP * np.float32(factor)), rasters.scaled(MAP), rtol=1e-5)


def test_scaling_leaves_the_map_itself_alone():
    values = MAP.copy()
    rasters.scaled(values)
    np.testing.assert_array_equal(values, MAP)


@pytest.mark.parametrize("size", [(21, 12), (7, 4), (30, 5), (3, 2)], ids=["larger", "same", "oblong", "smaller"])
def test_a_map_is_enlarged_as_torch_does_it_bilinearly_with_width_before_height(size):
    width, height = size
    found = rasters.enlarge(MAP, size)
    expected = interpolate(
        torch.from_numpy(MAP)[None, None], (height, width), mode="bilinear", align_corners=False, antialias=True
    )
    np.testing.assert_allclose(found, expected[0, 0].numpy(), atol=1e-5)


def test_a_signed_map_is_a_share_of_its_greatest_distance_from_zero():
    values = np.array([[-4.0, 0.0, 1.0, 2.0]])
    np.testing.assert_array_equal(rasters.scaled(values, signed=True), [[-1, 0, 0.25, 0.5]])


def test_maps_with_one_limit_are_comparable():
    np.testing.assert_array_equal(rasters.scaled(np.array([[1.0, 4.0, 9.0]]), limit=8), [[0.125, 0.5, 1]])
    np.testing.assert_array_equal(rasters.scaled(np.array([[-9.0, 4.0]]), signed=True, limit=8), [[-1, 0.5]])


def test_a_signed_heat_map_has_the_middle_of_its_colours_where_the_map_is_zero():
    found = rasters.heat_map(np.array([[-2.0, 0.0, 2.0]]), (3, 1), "Blue to red")
    table = rasters.colour_table("Blue to red")
    np.testing.assert_array_equal(found[0, [0, 2]], table[[0, 255]])
    assert found[0, 1].tolist() in table[127:129].tolist()


@pytest.mark.parametrize(("value", "index"), [(3.7, 255), (1e-9, 255), (0.0, 0), (-2.0, 0)])
def test_the_heat_map_of_a_constant_has_one_colour(value, index):
    found = rasters.heat_map(np.full((2, 3), value), (12, 5), "Viridis")
    assert found.shape == (5, 12, 3)
    assert found.dtype == np.uint8
    assert (found == rasters.colour_table("Viridis")[index]).all()


def test_a_heat_map_looks_its_shares_up_in_the_colour_table():
    values = np.array([[0.0, 51.0, 102.0], [153.0, 204.0, 255.0]])  # fifths of the largest
    found = rasters.heat_map(values, (3, 2), "Gray")
    np.testing.assert_array_equal(found, rasters.colour_table("Gray")[values.astype(int)])


# --- blending and magnifying ------------------------------------------------------------------------------------------


def test_an_overlay_of_opacity_zero_is_the_picture_and_of_opacity_one_the_heat_map():
    np.testing.assert_array_equal(rasters.overlay(PICTURE, HEAT, 0), PICTURE)
    np.testing.assert_array_equal(rasters.overlay(PICTURE, HEAT, 1), HEAT)
    assert rasters.overlay(PICTURE, HEAT, 0).dtype == rasters.overlay(PICTURE, HEAT, 1).dtype == np.uint8


@pytest.mark.parametrize("opacity", [0.1, 0.25, 0.5, 0.55, 0.9])
def test_an_overlay_is_linear_in_its_opacity_up_to_rounding(opacity):
    exact = PICTURE + opacity * (HEAT.astype(float) - PICTURE)
    np.testing.assert_allclose(rasters.overlay(PICTURE, HEAT, opacity), exact, rtol=0, atol=0.5 + 1e-4)


@pytest.mark.parametrize(
    ("shape", "side", "factor"),
    [((3, 5), 7, 3), ((5, 3), 7, 3), ((3, 5), 3, 1), ((3, 5), 4, 2), ((28, 28), 448, 16), ((9, 9), 4, 1)],
)
def test_a_magnified_picture_shows_each_pixel_as_a_square_and_its_shorter_side_is_long_enough(
    shape, side, factor, random
):
    picture = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = rasters.magnify(picture, side)
    assert found.shape == (shape[0] * factor, shape[1] * factor, 3)
    assert min(found.shape[:2]) >= side
    for down in range(factor):
        for right in range(factor):
            np.testing.assert_array_equal(found[down::factor, right::factor], picture)


# --- squares and sheets -----------------------------------------------------------------------------------------------


def striped(vertical):
    """Red, green and blue thirds of 4 px; the middle third is the centre square."""
    stripes = np.zeros((12, 4, 3), dtype=np.uint8)
    for number, colour in enumerate((RED, GREEN, BLUE)):
        stripes[4 * number : 4 * number + 4] = colour
    return Image.fromarray(stripes if vertical else stripes.swapaxes(0, 1))


@pytest.mark.parametrize("vertical", [False, True], ids=["landscape", "portrait"])
@pytest.mark.parametrize("side", [2, 4, 10])
def test_a_square_is_cut_from_the_centre(vertical, side):
    found = rasters.square(striped(vertical), side)
    assert found.size == (side, side)
    assert found.getcolors() == [(side * side, GREEN)]


def test_a_square_picture_of_the_right_side_is_left_as_it_is():
    square = PICTURE[:, :6]
    np.testing.assert_array_equal(rasters.square(Image.fromarray(square), 6), square)


def test_a_tiny_picture_is_enlarged_without_new_colours():
    found = np.asarray(rasters.square(Image.fromarray(PICTURE[:2, :2]), 8))
    np.testing.assert_array_equal(found, PICTURE[:2, :2].repeat(4, 0).repeat(4, 1))


def test_picture_number_i_stands_on_the_sheet_at_row_and_column_of_its_number():
    colours = [(number * 40, 255 - number * 40, number) for number in range(5)]
    pictures = [plain(colour, 20 + number, 31 - number) for number, colour in enumerate(colours)]
    sheet = rasters.contact_sheet(pictures, tile=8, columns=3)
    assert sheet.shape == (2 * 8, 3 * 8, 3)
    for number, colour in enumerate([*colours, BLACK]):  # the last place is empty
        row, column = divmod(number, 3)
        assert (sheet[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] == colour).all()


@pytest.mark.parametrize(("n_pictures", "rows"), [(0, 1), (1, 1), (4, 1), (5, 2), (8, 2)])
def test_a_sheet_has_as_many_rows_as_it_needs(n_pictures, rows):
    sheet = rasters.contact_sheet([plain(RED, 3, 3)] * n_pictures, tile=3, columns=4)
    assert sheet.shape == (rows * 3, 4 * 3, 3)
    assert (sheet == RED).all(2).sum() == n_pictures * 9


def test_grey_pictures_can_stand_on_a_sheet():
    sheet = rasters.contact_sheet([Image.new("L", (5, 5), 90)], tile=5, columns=1)
    assert (sheet == 90).all()


# --- files ------------------------------------------------------------------------------------------------------------


def opened(file):
    picture = Image.open(io.BytesIO(file))
    return picture.format, np.asarray(picture)


def test_a_mosaic_has_tiles_row_by_row_with_white_gaps_between_them():
    tiles = [np.full((2, 3, 3), value, np.uint8) for value in (10, 20, 30)]
    made = rasters.mosaic(tiles, columns=2, gap=1)
    assert made.shape == (2 * 2 + 1, 2 * 3 + 1, 3)
    assert [made[y, x, 0] for y, x in ((0, 0), (1, 4), (3, 2))] == [10, 20, 30]
    assert [made[y, x, 0] for y, x in ((2, 0), (0, 3), (4, 6))] == [255] * 3
    np.testing.assert_array_equal(rasters.mosaic(tiles[:1], columns=1), tiles[0])


def test_a_png_file_gives_the_same_pixels_back():
    kind, pixels = opened(rasters.png(PICTURE))
    assert kind == "PNG"
    np.testing.assert_array_equal(pixels, PICTURE)


def smooth():
    """A picture (16, 24, 3) of slow gradients, which JPEG keeps well."""
    rows, columns = np.mgrid[0:16, 0:24]
    return np.stack([100 + 4 * rows, 60 + 4 * columns, 90 + 2 * rows + 2 * columns], axis=2).astype(np.uint8)


def test_a_jpeg_file_gives_about_the_same_pixels_back():
    kind, pixels = opened(rasters.jpeg(smooth(), quality=95))
    assert kind == "JPEG"
    assert pixels.shape == (16, 24, 3)
    assert np.abs(pixels.astype(int) - smooth()).mean() < 3


def test_a_jpeg_file_of_less_quality_is_smaller():
    assert len(rasters.jpeg(PICTURE, quality=10)) < len(rasters.jpeg(PICTURE)) < len(rasters.jpeg(PICTURE, quality=95))


@pytest.mark.parametrize(("make", "kind"), [(rasters.png, "png"), (rasters.jpeg, "jpeg")])
def test_a_data_link_names_its_kind_and_holds_the_file(make, kind):
    file = make(PICTURE)
    head, _, body = rasters.data_uri(file).partition(",")
    assert head == f"data:image/{kind};base64"
    assert base64.b64decode(body, validate=True) == file
