"""Figures of networks side by side: what stands where."""

from types import SimpleNamespace

import numpy as np
import pytest

from features.compare import compared, slices
from features.shares import Share
from viz import theme
from viz.figures import compare as figures


def contender(name, hits, macs):
    cost = SimpleNamespace(weight_bytes=40, latency=SimpleNamespace(median=1 / macs), memory_bytes=80)
    return SimpleNamespace(name=name, accuracy=Share(hits, 100), macs=macs, parameters=10, cost=cost)


THREE = [contender("small", 90, 1e9), contender("<large>", 95, 4e9), contender("wasteful", 90, 2e9)]


def test_a_network_that_another_beats_in_accuracy_and_cost_is_grey():
    assert figures.undominated(THREE) == [True, True, False]
    assert figures.undominated([contender("one", 9, 1e9), contender("same", 9, 1e9)]) == [True, True]
    assert figures.undominated(THREE, "latency") == [False, True, False]  # the larger are the faster here
    figure = figures.cost(THREE)
    assert [trace.x[0] for trace in figure.data] == [1, 4, 2]
    assert [trace.marker.color == theme.GREY for trace in figure.data] == [False, False, True]
    assert figure.data[1].name == "&lt;large&gt;"
    assert len({trace.marker.symbol for trace in figure.data}) == 3  # told apart where they are grey, too
    low, high = Share(90, 100).interval
    assert (figure.data[0].error_y.array[0], figure.data[0].error_y.arrayminus[0]) == pytest.approx(
        (high - 0.9, 0.9 - low)
    )


def test_many_networks_are_numbered():
    figure = figures.cost([contender(f"n{number}", 50 + number, 1e9) for number in range(10)])
    assert [trace.text for trace in figure.data][:2] == ["1", "2"]
    assert figure.data[9].name == "10 n9"


def test_slices_that_differ_are_coloured_by_who_is_better(random):
    group = np.repeat(["worse", "same", "better"], 100).astype(object)
    first = np.repeat([True, True, False], 100)
    second = np.repeat([False, True, True], 100)
    told = compared(slices({"group": group}), first, second)
    figure = figures.slices(told)
    colours = dict(zip(figure.data[0].y, figure.data[0].marker.color, strict=True))
    assert colours == {"group: worse": theme.RED, "group: same": theme.GREY, "group: better": theme.BLUE}
    assert dict(zip(figure.data[0].y, figure.data[0].x, strict=True))["group: worse"] == -1


def test_colours_of_similarity_are_clipped_and_numbers_are_not():
    told = SimpleNamespace(
        values=np.array([[1, -0.2], [0.4, 0.7]]), chance=np.zeros((2, 2)),
        low=np.full((2, 2), np.nan), high=np.full((2, 2), np.nan), rows=("stem", "layer1"),
        columns=("stem", "pool"),
    )  # fmt: skip
    figure = figures.similarity(told, "one", "<two>")
    np.testing.assert_array_equal(figure.data[0].z, [[1, 0], [0.4, 0.7]])
    assert [note.text for note in figure.layout.annotations] == ["1.00", "-0.20", "0.40", "0.70"]
    assert figure.layout.xaxis.title.text == "&lt;two&gt;"
    assert "-0.200, by chance 0.000" in figure.data[0].hovertext[0][1]
