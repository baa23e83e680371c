"""Medians, ranges and markers of sizes and directions that can be counted."""

from dataclasses import replace

import numpy as np
import pytest

from tests.viz.figures.residual.made import BLOCKS, SCALES, SHORTCUTS, STATISTICS, norms_of
from viz import theme
from viz.figures.residual import branches


def points(figure):
    """block -> (low, middle, high, colour, trace's name), of the markers with whiskers."""
    found = {}
    for trace in figure.data:
        if trace.mode == "markers":
            for index, block in enumerate(trace.x):
                middle = trace.y[index]
                found[block] = (
                    middle - trace.error_y.arrayminus[index],
                    middle,
                    middle + trace.error_y.array[index],
                    trace.marker.color,
                    trace.name,
                )
    return found


@pytest.mark.parametrize(
    ("draw", "of_squares"),
    [(branches.ratio, lambda squares: squares), (branches.cosine, lambda squares: squares / 1600 - 0.5)],
    ids=["ratio", "cosine"],
)
def test_every_block_shows_the_median_and_the_range_of_ninety_percent_of_the_images(draw, of_squares):
    found = points(draw(STATISTICS))
    assert set(found) == set(BLOCKS)
    for block, scale in zip(BLOCKS, SCALES, strict=True):
        np.testing.assert_allclose(found[block][:3], of_squares(np.array([1, 100, 361]) * scale), rtol=1e-5)


def test_the_pointer_tells_the_same_range_as_the_whiskers():
    for trace in branches.ratio(STATISTICS).data:
        if trace.mode == "markers":
            low, high = np.array(trace.customdata).T
            np.testing.assert_allclose(trace.y - trace.error_y.arrayminus, low, rtol=1e-5)
            np.testing.assert_allclose(trace.y + trace.error_y.array, high, rtol=1e-5)


def test_the_line_goes_through_all_medians_in_the_order_of_depth():
    line = next(trace for trace in branches.ratio(STATISTICS).data if trace.mode == "lines")
    assert tuple(line.x) == BLOCKS
    np.testing.assert_allclose(line.y, 100 * SCALES)


def test_markers_are_coloured_and_named_by_the_kind_of_shortcut():
    found = points(branches.ratio(STATISTICS))
    assert [found[block][3] for block in BLOCKS] == [theme.SHORTCUT_COLOURS[kind] for kind in SHORTCUTS]
    assert [found[block][4] for block in BLOCKS] == [f"{kind} shortcut" for kind in SHORTCUTS]
    traces = [trace for trace in branches.ratio(STATISTICS).data if trace.mode == "markers"]
    assert len({trace.marker.symbol for trace in traces}) == len(traces) == 2


def with_ratios(change):
    ratios = STATISTICS.ratios.copy()
    change(ratios)
    return replace(STATISTICS, norms=norms_of(ratios))


def test_a_block_without_any_ratio_is_left_out_and_keeps_its_place_on_the_axis():
    def no_second_block(ratios):
        ratios[:, 1] = np.nan

    figure = branches.ratio(with_ratios(no_second_block))
    assert set(points(figure)) == set(BLOCKS) - {"layer1.1"}
    assert figure.layout.xaxis.categoryarray == BLOCKS
    line = next(trace for trace in figure.data if trace.mode == "lines")
    np.testing.assert_allclose(line.y, 100 * np.delete(SCALES, 1))


def test_images_without_a_ratio_do_not_count():
    def first_of_the_last_block(ratios):
        ratios[:, 4] = [7, 9, *[np.nan] * 19]

    low, middle, high, *_ = points(branches.ratio(with_ratios(first_of_the_last_block)))["layer3.0"]
    np.testing.assert_allclose((low, middle, high), (7.1, 8, 8.9), rtol=1e-6)  # on the line from 7 to 9


@pytest.mark.parametrize("draw", [branches.ratio, branches.cosine])
def test_one_image_has_no_spread(draw):
    one = replace(STATISTICS, norms=norms_of(STATISTICS.ratios[:1]), cosines=STATISTICS.cosines[:1])
    for low, middle, high, *_ in points(draw(one)).values():
        assert low == middle == high


def test_branches_that_are_all_zero_have_a_size_and_no_direction_to_draw():
    nothing = np.full((21, 5), np.nan, dtype=np.float32)
    new = replace(STATISTICS, norms=norms_of(np.zeros((21, 5), dtype=np.float32)), cosines=nothing)
    assert {block: values[:3] for block, values in points(branches.ratio(new)).items()} == dict.fromkeys(
        BLOCKS, (0, 0, 0)
    )
    assert points(branches.cosine(new)) == {}


def test_cosines_of_any_two_networks_can_be_compared():
    low, high = branches.cosine(STATISTICS).layout.yaxis.range
    assert low <= -1
    assert high >= 1
