"""Numbers for people by hand, and colours by what the literature says of them."""

import html
import re
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import ImageColor

from viz import theme
from viz.figures import embed

OKABE_ITO = {"#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#000000"}
UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1 k"),
        (1500, "1.5 k"),
        (-2500, "-2.5 k"),
        (269_722, "270 k"),
        (1_234_567, "1.23 M"),
        (25_557_032, "25.6 M"),
        (4_089_184_256, "4.09 G"),
    ],
)
def test_a_count_is_written_with_three_digits_and_a_unit(number, text):
    assert theme.count(number) == text


@pytest.mark.parametrize(("number", "text"), [(999_499, "999 k"), (999_500, "1 M"), (999_999_999, "1 G")])
def test_a_count_that_rounds_up_to_the_next_unit_is_written_in_it(number, text):
    assert theme.count(number) == text


def test_a_count_stays_within_half_a_percent_and_grows_with_its_number():
    numbers = np.unique(np.geomspace(1, 9e11, 3000).astype(np.int64))
    read = []
    for number in numbers.tolist():
        digits, _, unit = theme.count(number).partition(" ")
        assert re.fullmatch(r"\d{1,3}(\.\d+)?", digits), (number, digits)
        read.append(float(digits) * UNITS[unit])
    np.testing.assert_allclose(read, numbers, rtol=0.005)
    assert all(one <= other for one, other in pairwise(read))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59, "59 s"),
        (59.6, "1 min 0 s"),
        (60, "1 min 0 s"),
        (90, "1 min 30 s"),
        (3601, "60 min 1 s"),
    ],
)
def test_a_time_is_written_in_minutes_and_seconds(number, text):
    assert theme.seconds(number) == text


@pytest.mark.parametrize(("dimensions", "text"), [((64, 56, 28), "64 × 56 × 28"), ((1000,), "1000"), ((), "")])
def test_a_shape_is_written_with_multiplication_signs(dimensions, text):
    assert theme.shape(dimensions) == text


def test_every_group_that_is_named_has_a_colour_of_its_own():
    colours = [theme.category_colour(index) for index in range(embed.TOO_MANY)]
    assert len({ImageColor.getrgb(colour) for colour in colours}) == embed.TOO_MANY


def test_colours_are_used_again_from_the_first_when_they_run_out():
    n_colours = len(theme.CATEGORIES)
    assert theme.category_colour(n_colours) == theme.category_colour(0)
    assert theme.category_colour(n_colours + 1) == theme.category_colour(1) != theme.category_colour(0)


def test_the_first_colours_are_those_of_okabe_and_ito_that_show_on_white_and_on_black():
    assert set(theme.CATEGORIES[:6]) == OKABE_ITO - {"#f0e442", "#000000"}


def test_every_kind_of_shortcut_has_a_colour_and_a_symbol_of_its_own():
    assert set(theme.SHORTCUT_COLOURS) == {"identity", "projection", "padding", "none"}
    assert len(set(theme.SHORTCUT_COLOURS.values())) == 4
    assert len(set(theme.SYMBOLS)) == len(theme.SYMBOLS) >= 4


def luminance(colour):
    """Relative luminance as WCAG 2.1 defines it, in [0, 1]."""
    values = np.array(ImageColor.getrgb(colour)) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize(("dark", "background"), [(False, "#ffffff"), (True, "#10161c")])
def test_text_has_the_contrast_that_wcag_asks_for_small_print(dark, background):
    layout = theme.ink(go.Figure(go.Bar(x=["a"], y=[1])), dark).layout
    inks = {layout.font.color, layout.legend.font.color}
    inks |= {colour for axis in (layout.xaxis, layout.yaxis) for colour in (axis.tickfont.color, axis.title.font.color)}
    for ink in inks:
        low, high = sorted((luminance(ink), luminance(background)))
        assert (high + 0.05) / (low + 0.05) >= 7


def test_a_styled_figure_has_its_height_and_no_background_of_its_own():
    layout = theme.style(go.Figure(), 321, "A title").layout
    assert layout.height == 321
    assert layout.title.text == "A title"
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_a_title_gets_room_above_the_figure():
    with_title, without = (theme.style(go.Figure(), 300, title).layout.margin.t for title in ("A title", ""))
    assert with_title >= without + 15  # the title's font is 15 px


def test_names_with_tags_are_shown_as_they_are():
    assert html.unescape(theme.plain("<b>T&amp;C</b>")) == "<b>T&amp;C</b>"
    assert not set("<>") & set(theme.plain("<a href=x>"))
