"""What travels to the browser, read back as its scripts read it."""

import json
import struct
from itertools import pairwise

import numpy as np
import pytest

from features.errors import FeatureError
from viz.components.point_map.parts import BLOCK, Colours, Panel, Pictures, Texts

POINTS = np.arange(8, dtype=np.float64).reshape(4, 2)
PALETTE = ("red", "green")


def test_points_are_float32_row_by_row_in_eight_bytes():
    assert struct.unpack("<8f", Panel("a", "A", POINTS).binary.content) == tuple(range(8))


def test_the_same_content_has_the_same_name_and_other_content_another():
    names = {Panel("a", "A", points).binary.name for points in (POINTS, POINTS.copy(), POINTS + 1)}
    assert len(names) == 2


def test_large_content_that_differs_in_one_byte_has_another_name():
    many = np.zeros((200_000, 2), np.float32)
    other = many.copy()
    other[61_234, 1] = 1
    assert Panel("a", "A", many).binary.name != Panel("a", "A", other).binary.name


@pytest.mark.parametrize(("categories", "width"), [(255, 1), (256, 2)])
def test_categories_take_one_byte_or_two_and_none_is_the_last_number(categories, width):
    values = np.array([0, categories - 1, -1])
    colours = Colours(values, PALETTE, [str(number) for number in range(categories)])
    kind = {1: "u1", 2: "<u2"}[width]
    assert np.frombuffer(colours.binary.content, kind).tolist() == [0, categories - 1, 256**width - 1]
    assert json.loads(colours.legend.content)["wide"] is (width == 2)


def test_numbers_are_spread_over_the_scale_cut_at_its_ends_and_nan_is_apart():
    values = np.array([2, 3, 4, -9, 99, np.nan, np.inf], np.float32)
    colours = Colours(values, PALETTE, low=2, high=4)
    assert list(colours.binary.content) == [0, 127, 254, 0, 254, 255, 254]


def test_a_scale_of_one_number_is_its_middle():
    assert list(Colours(np.array([5.0, np.nan]), PALETTE, low=5, high=5).binary.content) == [127, 255]


def test_the_legend_holds_plain_json_whatever_its_numbers_are():
    legend = json.loads(
        Colours(np.zeros(1), PALETTE, low=np.float32(0.5), high=np.float64(2), title="x").legend.content
    )
    assert legend == {"title": "x", "names": [], "palette": ["red", "green"], "low": 0.5, "high": 2, "wide": False}


@pytest.mark.parametrize("count", [0, 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7])
def test_texts_are_read_back_block_by_block(count):
    lines = [f"image {row}\nélan 猫 {'x' * (row % 5)}" for row in range(count)]
    texts = Texts.of(lines)
    blocks = -(-count // BLOCK)
    places = np.frombuffer(texts.content[: 4 * (blocks + 1)], "<u4")
    read = []
    for start, end in pairwise(places):
        block, rows = texts.content[start:end], min(BLOCK, count - len(read))
        offsets, letters = np.frombuffer(block[: 4 * (rows + 1)], "<u4"), block[4 * (rows + 1) :]
        read += [letters[one:two].decode() for one, two in pairwise(offsets)]
    assert read == lines
    assert places[-1] == len(texts.content)
    assert texts.count == count


def test_names_that_are_no_unicode_do_not_stop_the_texts():
    assert Texts.of(["a\udcff.png"]).content.endswith(b"a?.png")


def test_pictures_tell_where_their_sheets_are():
    pictures = Pictures(("/media/a", "/media/b"), 10, 5, np.array([3, -1]))
    assert json.loads(pictures.binary.content) == {"sheets": ["/media/a", "/media/b"], "columns": 10, "rows": 5}
    assert pictures.positions_binary.content == struct.pack("<2i", 3, -1)
    assert Pictures((), 10, 5).positions_binary is None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Panel("a", "A", np.zeros((3, 3))), r"'a' needs points of shape \(N, 2\), but got \(3, 3\)"),
        (lambda: Panel("a", "A", np.array([[0, np.nan]])), "NaN or infinite"),
        (lambda: Panel("a", "A", POINTS, neighbours=np.zeros((3, 2), int)), r"shape \(4, k\), but got \(3, 2\)"),
        (lambda: Colours(np.zeros((2, 2)), PALETTE), r"shape \(N,\), but got \(2, 2\)"),
        (lambda: Colours(np.zeros(2), ()), "at least one colour"),
        (lambda: Colours(np.zeros(2), PALETTE, ["a"]), "integer values, but got float64"),
        (lambda: Colours(np.array([0, 2]), PALETTE, ["a", "b"]), "-1 to 1, but are 0 to 2"),
        (lambda: Colours(np.array([-2]), PALETTE, ["a", "b"]), "-1 to 1, but are -2"),
        (lambda: Colours(np.zeros(1, int), PALETTE, ["x"] * 65_536), "65,536 categories"),
        (lambda: Colours(np.zeros(2), PALETTE, low=np.nan), "finite ends"),
    ],
)
def test_what_cannot_be_shown_is_told(make, said):
    with pytest.raises(FeatureError, match=said):
        make()
