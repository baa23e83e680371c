"""Figures of quality and similarity: what stands where."""

from types import SimpleNamespace

import numpy as np
import pytest

from features.progress import finish
from features.results import Provenance
from features.similarity import Layers, compared
from viz.figures import compare as figures


def network(name, f1, confidence=(0.2, 0.8)):
    groups = SimpleNamespace(
        counts=np.array([4, 0, 6]), accuracy=np.array([0.25, np.nan, 0.9]),
        confidence=np.array([confidence[0], np.nan, confidence[1]]),
    )  # fmt: skip
    per_class = [SimpleNamespace(name=f"<{number}>", f1=value) for number, value in enumerate(f1)]
    evaluation = SimpleNamespace(calibration=SimpleNamespace(equal_mass=groups), per_class=per_class)
    return SimpleNamespace(name=name, evaluation=evaluation)


def test_reliability_draws_groups_that_hold_answers_alone():
    figure = figures.reliability([network("one", [1.0]), network("<b>", [1.0])])
    assert [trace.name for trace in figure.data] == ["as sure as right", "one", "&lt;b&gt;"]
    assert figure.data[1].x.tolist() == [0.2, 0.8]
    assert figure.data[1].y.tolist() == [0.25, 0.9]


def test_classes_come_first_in_which_networks_lie_farthest_apart():
    figure = figures.classes([network("one", [0.5, 0.9, 0.2]), network("two", [0.6, 0.2, 0.2])])
    assert list(figure.data[-1].y) == ["&lt;1&gt;", "&lt;0&gt;", "&lt;2&gt;"]
    assert figure.data[-1].x.tolist() == [0.2, 0.6, 0.2]


@pytest.fixture
def sides(random):
    return [
        Layers({f"{name}{n}": random.random((40, 8)) for n in range(count)}, tuple(map(str, range(40))), Provenance())
        for name, count in (("a", 3), ("b", 5))
    ]


def test_a_distance_is_the_darker_the_smaller_it_is(sides):
    told = finish(compared(*sides, measure="procrustes"))
    figure = figures.similarity(told, "one", "two", farthest=2)
    np.testing.assert_allclose(figure.data[0].z, 1 - told.values / 2)
    assert figure.data[0].colorbar.ticktext[0] == "2"
    assert figure.data[0].colorbar.ticktext[-1] == "0"


def test_relative_depth_goes_from_the_first_layer_to_the_last_of_each(sides):
    told = finish(compared(*sides))
    figure = figures.similarity(told, "one", "two", relative=True)
    assert list(figure.data[0].x) == [0, 0.25, 0.5, 0.75, 1]
    assert list(figure.data[0].y) == [0, 0.5, 1]


def test_some_layers_alone_are_as_they_were(sides):
    told = finish(compared(*sides))
    some = told.of(["a2", "a0"], ["b1", "b4"])
    np.testing.assert_array_equal(some.values, told.values[np.ix_([2, 0], [1, 4])])
    assert some.rows == ("a2", "a0")


def test_stitching_draws_each_direction_beside_the_intact_network():
    def joint(giver, receiver, stage, right, lower):
        share = SimpleNamespace(value=right, interval=(right - 0.1, right + 0.1))
        return SimpleNamespace(
            giver=giver, receiver=receiver, stage=stage, into=stage, accuracy=share, is_lower_bound=lower,
            intact=SimpleNamespace(value=0.9), explained=0.5, n_positions=100, change=SimpleNamespace(n_images=10),
        )  # fmt: skip

    joints = (joint("one", "two", "layer1", 0.8, False), joint("two", "one", "layer1", 0.7, True))
    figure = figures.stitching(SimpleNamespace(names=("one", "two"), joints=joints))
    assert [trace.name for trace in figure.data] == ["two goes on", "two intact", "one goes on", "one intact"]
    assert list(figure.data[2].y) == [0.7]
    assert list(figure.data[2].marker.symbol) == ["circle-open"]
