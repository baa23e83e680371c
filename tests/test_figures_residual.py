"""Branch statistics made by hand, whose percentiles can be counted."""

import math
from dataclasses import replace

import numpy as np
import pytest

from features.residual import BlockStatistics
from viz import theme
from viz.figures import residual

BLOCKS = ("layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0")
STAGES = ("layer1", "layer1", "layer2", "layer2", "layer3")
SHORTCUTS = ("identity", "identity", "padding", "identity", "padding")
SCALES = np.array([1.0, 0.5, 4.0, 0.25, 2.0])


def squares(seed):
    """(21, 5): the squares of 0 to 20 in another order in every column, times the column's scale.

    Of 0, 1, ..., 20 the 5th, 50th and 95th percentiles are 1, 10 and 19; of the squares 1, 100 and 361.
    """
    random = np.random.default_rng(seed)
    return np.stack([random.permutation(21) ** 2 for _ in BLOCKS], axis=1) * SCALES


STATISTICS = BlockStatistics(
    blocks=BLOCKS,
    stages=STAGES,
    shortcuts=SHORTCUTS,
    ratios=squares(0).astype(np.float32),
    cosines=(squares(1) / 1600 - 0.5).astype(np.float32),
    negative=np.array([0.5, 0.25, 0.75, 0.0, 1.0]),
    dead=np.array([0, 2, 0, 8, 0]),
    channels=np.array([16, 16, 32, 32, 64]),
    n_images=21,
    rejected=(),
    provenance={},
)


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
    [(residual.ratio, lambda squares: squares), (residual.cosine, lambda squares: squares / 1600 - 0.5)],
    ids=["ratio", "cosine"],
)
def test_every_block_shows_the_median_and_the_range_of_ninety_percent_of_the_images(draw, of_squares):
    found = points(draw(STATISTICS))
    assert set(found) == set(BLOCKS)
    for block, scale in zip(BLOCKS, SCALES, strict=True):
        np.testing.assert_allclose(found[block][:3], of_squares(np.array([1, 100, 361]) * scale), rtol=1e-5)


def test_the_pointer_tells_the_same_range_as_the_whiskers():
    for trace in residual.ratio(STATISTICS).data:
        if trace.mode == "markers":
            low, high = np.array(trace.customdata).T
            np.testing.assert_allclose(trace.y - trace.error_y.arrayminus, low, rtol=1e-5)
            np.testing.assert_allclose(trace.y + trace.error_y.array, high, rtol=1e-5)


def test_the_line_goes_through_all_medians_in_the_order_of_depth():
    line = next(trace for trace in residual.ratio(STATISTICS).data if trace.mode == "lines")
    assert tuple(line.x) == BLOCKS
    np.testing.assert_allclose(line.y, 100 * SCALES)


def test_markers_are_coloured_and_named_by_the_kind_of_shortcut():
    found = points(residual.ratio(STATISTICS))
    assert [found[block][3] for block in BLOCKS] == [theme.SHORTCUT_COLOURS[kind] for kind in SHORTCUTS]
    assert [found[block][4] for block in BLOCKS] == [f"{kind} shortcut" for kind in SHORTCUTS]
    traces = [trace for trace in residual.ratio(STATISTICS).data if trace.mode == "markers"]
    assert len({trace.marker.symbol for trace in traces}) == len(traces) == 2


def with_ratios(change):
    ratios = STATISTICS.ratios.copy()
    change(ratios)
    return replace(STATISTICS, ratios=ratios)


def test_a_block_without_any_ratio_is_left_out_and_keeps_its_place_on_the_axis():
    def no_second_block(ratios):
        ratios[:, 1] = np.nan

    figure = residual.ratio(with_ratios(no_second_block))
    assert set(points(figure)) == set(BLOCKS) - {"layer1.1"}
    assert figure.layout.xaxis.categoryarray == BLOCKS
    line = next(trace for trace in figure.data if trace.mode == "lines")
    np.testing.assert_allclose(line.y, 100 * np.delete(SCALES, 1))


def test_images_without_a_ratio_do_not_count():
    def first_of_the_last_block(ratios):
        ratios[:, 4] = [7, 9, *[np.nan] * 19]

    low, middle, high, *_ = points(residual.ratio(with_ratios(first_of_the_last_block)))["layer3.0"]
    np.testing.assert_allclose((low, middle, high), (7.1, 8, 8.9), rtol=1e-6)  # on the line from 7 to 9


@pytest.mark.parametrize("draw", [residual.ratio, residual.cosine])
def test_one_image_has_no_spread(draw):
    one = replace(STATISTICS, ratios=STATISTICS.ratios[:1], cosines=STATISTICS.cosines[:1])
    for low, middle, high, *_ in points(draw(one)).values():
        assert low == middle == high


def test_branches_that_are_all_zero_have_a_size_and_no_direction_to_draw():
    nothing = np.full((21, 5), np.nan, dtype=np.float32)
    new = replace(STATISTICS, ratios=np.zeros((21, 5), dtype=np.float32), cosines=nothing)
    assert {block: values[:3] for block, values in points(residual.ratio(new)).items()} == dict.fromkeys(
        BLOCKS, (0, 0, 0)
    )
    assert points(residual.cosine(new)) == {}


def test_the_line_of_equal_size_and_its_text_lie_at_one_on_the_logarithmic_axis():
    layout = residual.ratio(STATISTICS).layout
    assert layout.yaxis.type == "log"
    line = next(shape for shape in layout.shapes if shape.yref == "y")
    text = next(note for note in layout.annotations if note.text == "as large as the shortcut")
    assert line.y0 == line.y1 == 1
    assert text.y == math.log10(1)  # Plotly takes an annotation's place on such an axis as a logarithm


def test_ticks_of_the_logarithmic_axis_are_written_as_plain_numbers():
    axis = residual.ratio(STATISTICS).layout.yaxis
    assert [float(text) for text in axis.ticktext] == pytest.approx(list(axis.tickvals))
    assert {0.01, 0.1, 1, 10} <= set(axis.tickvals)


def test_cosines_of_any_two_networks_can_be_compared():
    low, high = residual.cosine(STATISTICS).layout.yaxis.range
    assert low <= -1
    assert high >= 1


@pytest.mark.parametrize("draw", [residual.ratio, residual.cosine, residual.negative, residual.dead])
def test_a_line_parts_the_stages_and_each_is_named_where_it_begins(draw):
    layout = draw(STATISTICS).layout
    lines = [shape.x0 for shape in layout.shapes if shape.yref == "y domain"]
    assert lines == [1.5, 3.5]  # between the blocks 1 and 2, and 3 and 4
    begins = {note.text: note.x for note in layout.annotations if note.text in STAGES}
    assert {stage: math.ceil(x) for stage, x in begins.items()} == {"layer1": 0, "layer2": 2, "layer3": 4}
    assert layout.xaxis.categoryarray == BLOCKS


def test_a_bar_shows_the_share_below_zero_of_every_block():
    figure = residual.negative(STATISTICS)
    (bar,) = figure.data
    assert tuple(bar.x) == BLOCKS
    np.testing.assert_array_equal(bar.y, STATISTICS.negative)
    assert list(bar.marker.color) == [theme.SHORTCUT_COLOURS[kind] for kind in SHORTCUTS]
    assert figure.layout.yaxis.range == (0, 1)


def test_a_bar_shows_the_share_of_dead_channels_and_the_pointer_their_number():
    (bar,) = residual.dead(STATISTICS).data
    np.testing.assert_array_equal(bar.y, [0, 0.125, 0, 0.25, 0])
    np.testing.assert_array_equal(bar.customdata, [[0, 16], [2, 16], [0, 32], [8, 32], [0, 64]])


def says_none_is_dead(figure):
    return any("no dead channel" in note.text for note in figure.layout.annotations)


def test_a_network_without_dead_channels_says_so_and_one_with_some_does_not():
    alive = replace(STATISTICS, dead=np.zeros(5, dtype=int))
    assert says_none_is_dead(residual.dead(alive))
    assert not says_none_is_dead(residual.dead(STATISTICS))


@pytest.mark.parametrize("dead", [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 32, 0]], ids=["none", "one", "all"])
def test_the_highest_bar_of_dead_channels_fits_and_the_axis_ends_at_one(dead):
    figure = residual.dead(replace(STATISTICS, dead=np.array(dead)))
    low, high = figure.layout.yaxis.range
    assert low == 0
    assert max(figure.data[0].y) <= high <= 1
    assert high > 0
