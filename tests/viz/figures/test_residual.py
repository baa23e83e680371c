"""Branch statistics made by hand, whose percentiles can be counted."""

import math
from dataclasses import replace

import numpy as np
import pytest

from features.residual import BRANCH, OUTPUT, PARTS, SHORTCUT, SUM, BlockStatistics, Channels, Contrast
from features.results import Provenance
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


DEPTH_FIGURES = (
    "ratio", "cosine", "negative", "dead", "budget", "propagation", "channels", "movement", "readout", "rank", "gamma",
)  # fmt: skip
WIDTHS = np.array([16, 16, 32, 32, 64])


def channels_of(width, negative, dead, scale=1.0):
    """Channels of which the first `dead` are zero everywhere; variances 1, 2 and 4 times the scale, so 0.5 together."""
    highest = np.where(np.arange(width) < dead, 0.0, 1.0)
    ones = np.ones(width)
    return Channels(
        means=dict.fromkeys(PARTS, ones),
        variances=dict(zip(PARTS, (scale * ones, 2 * scale * ones, 4 * scale * ones, 3 * scale * ones), strict=True)),
        negative=np.full(width, negative),
        sparsity=np.linspace(0, 1, width),
        lowest=np.zeros(width),
        highest=highest,
        gamma=np.linspace(-1, 1, width),
        class_means=None,
        class_squared_means={},
        class_variances={},
    )


def channels_with(dead):
    shares = (0.5, 0.25, 0.75, 0.0, 1.0)
    return tuple(channels_of(*made, 10.0**place) for place, made in enumerate(zip(WIDTHS, shares, dead, strict=True)))


def norms_of(ratios):
    """Norms of branches that have these ratios, with nothing to divide by where there is none."""
    shortcut = np.where(np.isnan(ratios), 0, 1).astype(np.float32)
    return {SHORTCUT: shortcut, BRANCH: np.nan_to_num(ratios), SUM: shortcut, OUTPUT: shortcut}


def means_of(norms, cosines):
    ratios = np.where(norms[SHORTCUT] > 0, norms[BRANCH], np.nan)
    return {
        "ratio": np.nanmean(ratios, 0),
        "cosine": cosines.mean(0),
        "kept": np.where(np.array(SHORTCUTS) == "identity", 0.5, np.nan),
        "sparsity": np.full(5, 0.5),
    } | {part: values.mean(0) for part, values in norms.items()}


STATISTICS = BlockStatistics(
    n_images=21,
    class_counts=np.array([7, 7, 7]),
    means=means_of(norms_of(squares(0).astype(np.float32)), squares(1) / 1600 - 0.5),
    class_means={},
    blocks=BLOCKS,
    stages=STAGES,
    shortcuts=SHORTCUTS,
    ids=tuple(map(str, range(21))),
    labels=np.repeat([0, 1, 2], 7),
    class_names=("ant", "bee", "<cat>"),
    norms=norms_of(squares(0).astype(np.float32)),
    cosines=(squares(1) / 1600 - 0.5).astype(np.float32),
    kept=np.where(np.array(SHORTCUTS) == "identity", 0.5, np.nan) * np.ones((21, 5), np.float32),
    sparsities=np.full((21, 5), 0.5, np.float32),
    channels=channels_with((0, 2, 0, 8, 0)),
    effective_rank=np.array([2.0, 4.0, 8.0, 16.0, 32.0]),
    cka=np.array([0.5, 0.6, 0.7, 0.8, 0.9]),
    class_mean_accuracy=np.array([0.1, 0.3, 0.5, 0.7, 0.9]),
    head_accuracy=np.array([np.nan, np.nan, np.nan, np.nan, 0.95]),
    rejected=(),
    provenance=Provenance(),
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
    return replace(STATISTICS, norms=norms_of(ratios))


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
    one = replace(STATISTICS, norms=norms_of(STATISTICS.ratios[:1]), cosines=STATISTICS.cosines[:1])
    for low, middle, high, *_ in points(draw(one)).values():
        assert low == middle == high


def test_branches_that_are_all_zero_have_a_size_and_no_direction_to_draw():
    nothing = np.full((21, 5), np.nan, dtype=np.float32)
    new = replace(STATISTICS, norms=norms_of(np.zeros((21, 5), dtype=np.float32)), cosines=nothing)
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


@pytest.mark.parametrize("draw", [getattr(residual, name) for name in DEPTH_FIGURES])
def test_a_line_parts_the_stages_and_each_is_named_where_it_begins(draw):
    layout = draw(STATISTICS).layout
    lines = [shape.x0 for shape in layout.shapes if shape.yref == "paper"]
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
    alive = replace(STATISTICS, channels=channels_with([0] * 5))
    assert says_none_is_dead(residual.dead(alive))
    assert not says_none_is_dead(residual.dead(STATISTICS))


@pytest.mark.parametrize("dead", [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 32, 0]], ids=["none", "one", "all"])
def test_the_highest_bar_of_dead_channels_fits_and_the_axis_ends_at_one(dead):
    figure = residual.dead(replace(STATISTICS, channels=channels_with(dead)))
    low, high = figure.layout.yaxis.range
    assert low == 0
    assert max(figure.data[0].y) <= high <= 1
    assert high > 0


def bars(figure):
    return {trace.name: trace for trace in figure.data}


def test_the_parts_of_the_variance_add_up_to_that_of_the_sum():
    found = bars(residual.budget(STATISTICS))
    shares = [trace.y for trace in found.values()]
    np.testing.assert_allclose(np.sum(shares, axis=0), 1)
    np.testing.assert_allclose(found["shortcut"].y, 0.25)
    np.testing.assert_allclose(found["branch"].y, 0.5)  # and the rest is twice the covariance


def test_signals_are_drawn_as_averages_over_channels():
    found = bars(residual.propagation(STATISTICS))
    scales = 10.0 ** np.arange(5)
    np.testing.assert_allclose(found["output: average channel variance"].y, 3 * scales)
    np.testing.assert_allclose(found["branch: average channel variance"].y, 2 * scales)
    np.testing.assert_allclose(found["output: average channel squared mean"].y, 1)


def test_channels_are_sorted_by_how_often_they_are_silent_on_one_scale():
    (heat,) = residual.channels(STATISTICS).data
    assert (heat.zmin, heat.zmax) == (0, 1)
    for column in np.array(heat.z).T:
        np.testing.assert_allclose(column, np.linspace(0, 1, len(column)), atol=1e-6)


def test_a_cosine_of_input_and_output_is_drawn_where_the_shape_stays():
    figure = residual.movement(STATISTICS)
    line, dots = figure.data
    np.testing.assert_array_equal(line.y, STATISTICS.cka)
    assert tuple(dots.x) == ("layer1.0", "layer1.1", "layer2.1")
    np.testing.assert_allclose(dots.y, 0.5)


def test_the_head_is_drawn_on_the_blocks_that_it_fits():
    means, head = residual.readout(STATISTICS).data
    np.testing.assert_array_equal(means.y, STATISTICS.class_mean_accuracy)
    assert (tuple(head.x), tuple(head.y)) == (("layer3.0",), (0.95,))


def test_the_rank_stands_below_the_number_of_channels():
    channels, rank = residual.rank(STATISTICS).data
    np.testing.assert_array_equal(channels.y, WIDTHS)
    np.testing.assert_array_equal(rank.y, STATISTICS.effective_rank)


def test_scales_of_the_last_batchnorm_are_drawn_without_their_sign_and_left_out_where_there_is_none():
    (dots,) = residual.gamma(STATISTICS).data
    np.testing.assert_allclose(dots.y, [np.median(np.abs(np.linspace(-1, 1, width))) for width in WIDTHS])
    bare = tuple(replace(found, gamma=None) for found in STATISTICS.channels)
    assert residual.gamma(replace(STATISTICS, channels=bare)) is None


def test_differences_that_are_sure_are_filled_and_the_others_hollow():
    effect, q = np.array([1.0, -2.0, 0.1, np.nan, 0.5]), np.array([0.01, 0.001, 0.9, np.nan, 0.06])
    found = Contrast(
        BLOCKS, STAGES, ("ant", "<cat>"), (7, 7), "ratio", np.ones((2, 5)), effect, effect - 1, effect + 1, q, q
    )
    sure, chance = residual.contrast(found).data
    assert tuple(sure.x) == ("layer1.0", "layer1.1")
    assert chance.marker.symbol == "circle-open"
    assert "&lt;cat&gt;" in residual.contrast(found).layout.yaxis.title.text


def test_networks_of_different_depth_lie_over_each_other():
    short = replace(
        STATISTICS, blocks=BLOCKS[:2], stages=STAGES[:2], shortcuts=SHORTCUTS[:2], channels=STATISTICS.channels[:2],
        norms={part: values[:, :2] for part, values in STATISTICS.norms.items()},
        means={name: values[:2] for name, values in STATISTICS.means.items()},
        **{name: getattr(STATISTICS, name)[:, :2] for name in ("cosines", "kept", "sparsities")},
        **{name: getattr(STATISTICS, name)[:2]
           for name in ("effective_rank", "cka", "class_mean_accuracy", "head_accuracy")},
    )  # fmt: skip
    for column in residual.COLUMNS:
        long, brief = residual.compare({"long": STATISTICS, "<short>": short}, column).data
        assert (long.x[0], long.x[-1], brief.x[0], brief.x[-1]) == (0, 1, 0, 1)
        assert brief.name == "&lt;short&gt;"
