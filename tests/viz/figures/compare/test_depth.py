"""Networks along relative depth: which panels there are, and what is drawn in them."""

from types import SimpleNamespace

import numpy as np

from viz import theme
from viz.figures import compare as figures


def network(name, n, *, residual=True, lost=None, judged=True):
    middle = np.linspace(0.5, 2, n)
    ratios = np.stack([middle - 0.1, middle, middle + 0.2], axis=1)
    told = None
    if lost is not None:
        told = SimpleNamespace(judged=judged, lost=np.full(n, lost), agreement=np.full(n, 0.75))
    return SimpleNamespace(
        name=name, blocks=tuple(f"layer1.{number}" for number in range(n)), depths=np.linspace(0, 1, n),
        ratios=ratios if residual else None, cosines=ratios / 2 if residual else None,
        shares=middle / 4 if residual else None, lost=told,
    )  # fmt: skip


def titles(figure):
    return [note.text for note in figure.layout.annotations]


def drawn(figure):
    """The traces that have points."""
    return [trace for trace in figure.data if trace.x[0] is not None]


def test_networks_of_other_lengths_lie_on_one_axis_in_one_colour_each():
    figure = figures.along_depth([network("short", 3, lost=0.1), network("<long>", 9, lost=0.2)])
    assert titles(figure) == [
        "|F| / |x|", "cos(F, x)", "branch's share of the variance", "accuracy lost without the block",
    ]  # fmt: skip
    traces = drawn(figure)
    assert len(traces) == 8
    assert {trace.x[-1] for trace in traces} == {1.0}
    colours = {name: {trace.line.color for trace in traces if trace.name == name} for name in ("short", "&lt;long&gt;")}
    assert colours == {"short": {theme.category_colour(0)}, "&lt;long&gt;": {theme.category_colour(1)}}
    assert [trace.name for trace in figure.data if trace.showlegend] == ["short", "&lt;long&gt;"]
    np.testing.assert_allclose(traces[0].error_y.array, [0.2] * 3)
    np.testing.assert_allclose(traces[0].error_y.arrayminus, [0.1] * 3)


def test_a_plain_network_is_drawn_where_it_has_something_to_tell():
    figure = figures.along_depth([network("residual", 4, lost=0.1), network("plain", 4, residual=False, lost=0.6)])
    assert [trace.yaxis for trace in drawn(figure) if trace.name == "plain"] == ["y4"]
    assert titles(figures.along_depth([network("plain", 4, residual=False, lost=0.6)])) == [
        "accuracy lost without the block"
    ]


def test_without_lesions_there_is_no_panel_of_them():
    assert len(titles(figures.along_depth([network("one", 4), network("other", 5)]))) == 3


def test_without_labels_all_networks_are_told_by_predictions_that_change():
    figure = figures.along_depth([network("one", 4, lost=0.1), network("other", 4, lost=np.nan, judged=False)])
    assert titles(figure)[-1] == "predictions that change without the block"
    assert [trace.y[0] for trace in drawn(figure) if trace.yaxis == "y4"] == [0.25, 0.25]


def test_a_branch_that_adds_nothing_leaves_a_gap_on_the_logarithmic_axis():
    one = network("lesioned", 4)
    one.ratios[2] = 0
    figure = figures.along_depth([one])
    assert np.isnan(figure.data[0].y).tolist() == [False, False, True, False]
    assert figure.layout.yaxis.type == "log"


def test_ten_networks_are_told_apart_and_have_the_whole_width():
    figure = figures.along_depth([network(f"network {number}", 5 + number, lost=0.1) for number in range(10)])
    first = [trace for trace in drawn(figure) if trace.yaxis == "y"]
    assert len({trace.line.color for trace in first}) == 10
    assert all(trace.error_y.array is None for trace in first)
    assert {tuple(figure.layout[axis].domain) for axis in ("xaxis", "xaxis2", "xaxis4")} == {(0.0, 1.0)}
    assert figure.layout.height > 4 * 280
