"""Pictures with what a position sees, against receptive fields that are known by hand."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from features import channels
from features.channels.patches import Field
from features.datasets import ImageSet
from features.errors import ImageError
from features.networks import architecture
from features.progress import finish
from tests.channels.made import drawn_model
from viz.cached import patches
from viz.cached.patches import patch_picture, patch_sheet_work, patches_work

SIDE = 24
FIELD = Field(size=6, stride=2, start=-2, side=SIDE, positions=12)  # position 3 sees pixels 4 to 9


@pytest.fixture(scope="module")
def model():
    return drawn_model(architecture.cifar(8, classes=2), SIDE)


def decoded(link):
    return Image.open(io.BytesIO(base64.b64decode(link.partition(",")[2])))


def painted(left, top, right, bottom, size=(SIDE, SIDE)):
    """Black, with a white box."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    return Image.fromarray(pixels)


def test_the_box_is_the_field_in_shares_of_the_picture_and_the_crop_what_lies_in_it(model):
    made = patch_picture(model, FIELD, painted(8, 4, 14, 10), (3, 5))  # columns 8 to 13, rows 4 to 9
    assert made.box == pytest.approx((8 / 24, 4 / 24, 14 / 24, 10 / 24))
    assert (made.ratio, made.clipped, made.part) == (1, (), (0, 0, 1, 1))
    assert made.seen == (0, 0, 1, 1)
    assert np.asarray(decoded(made.crop)).min() > 240  # all of it white, and nothing else
    whole = np.asarray(decoded(made.picture).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
    np.testing.assert_allclose(whole, np.asarray(painted(8, 4, 14, 10).convert("L")), atol=12)


def test_a_field_beyond_the_picture_is_clipped_at_its_sides_and_its_part_says_where(model):
    made = patch_picture(model, FIELD, painted(0, 0, 4, 10), (3, 0))  # columns -2 to 3
    assert made.clipped == (0,)
    assert made.box == pytest.approx((0, 4 / 24, 4 / 24, 10 / 24))
    assert made.part == pytest.approx((2 / 6, 0, 1, 1))
    assert made.centre == pytest.approx((1 / 24, 7 / 24))


def test_a_field_as_large_as_the_picture_or_far_beyond_it_has_no_crop(model):
    whole = Field(SIDE, 2, 0, SIDE, 1)
    assert patch_picture(model, whole, painted(0, 0, 4, 4), (0, 0)).crop == ""
    beyond = Field(10 * SIDE, 2, -9 * SIDE - SIDE // 2, SIDE, 1)
    assert patch_picture(model, beyond, painted(0, 0, 4, 4), (0, 0)).crop == ""


def test_of_a_very_wide_picture_the_square_that_the_network_is_given_is_shown(model):
    wide = painted(5 * SIDE, 0, 6 * SIDE, SIDE, size=(11 * SIDE, SIDE))  # its middle is white
    made = patch_picture(model, FIELD, wide, (3, 5))
    assert made.ratio == 1
    assert made.seen == (0, 0, 1, 1)
    assert made.box == pytest.approx((8 / 24, 4 / 24, 14 / 24, 10 / 24))
    assert np.asarray(decoded(made.picture)).min() > 240


def images(n=3):
    def opened(row):
        if row == 1:
            raise ImageError("gone")
        return painted(0, 0, 8 * (row + 1), SIDE)

    return ImageSet("drawn", tuple("abc"[:n]), None, (), "0" * 64, opened)


def test_an_image_that_is_gone_leaves_a_gap(model):
    positions = np.zeros((3, 2), np.int32)
    made = finish(patches_work(model, images(), "stem", [0, 1, 2], positions).make_task())
    assert [each is None for each in made] == [False, True, False]


def test_a_sheet_holds_a_square_for_every_patch_in_its_order(model):
    field = channels.fields(model)["stem"]
    rows, positions = [2, 0, 1], np.array([[12, 12], [12, 2], [0, 0]])
    sheet = Image.open(io.BytesIO(finish(patch_sheet_work(model, images(), "stem", rows, positions).make_task())))
    assert field.size == 3
    assert sheet.size == (patches.SHEET_COLUMNS * patches.LARGE, patches.LARGE)
    shown = [np.asarray(sheet)[:, at * patches.LARGE + 8 : (at + 1) * patches.LARGE - 8].mean() for at in range(3)]
    assert shown[0] > 240  # white there
    assert shown[1] > 240
    assert 100 < shown[2] < 150  # grey for the one that is gone


def test_work_is_told_apart_by_rows_and_positions(model):
    one, other = np.zeros((2, 2), int), np.ones((2, 2), int)
    keys = {
        patches_work(model, images(), "stem", rows, positions).key
        for rows in ([0, 2], [2, 0])
        for positions in (one, other)
    }
    assert len(keys) == 4
