"""What was made for the screen is made once, and never taken for something else."""

import gc
import weakref
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import pytest

from viz.cached import made as shelf
from viz.cached.links import heat_link, picture_link
from viz.cached.made import Shelf, drawn, identity, made


@dataclass(frozen=True, eq=False)
class Result:
    value: int


@dataclass(frozen=True)
class Setting:
    value: int


@pytest.fixture
def calls():
    return []


def test_the_same_is_made_once(calls):
    result = Result(1)

    def make(result, setting, array):
        calls.append(1)
        return object()

    first = made(make, result, Setting(2), np.arange(3))
    assert made(make, result, Setting(2), np.arange(3)) is first
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Result(1), Result(1)),  # of two runs, which nobody has compared
        (Setting(1), Setting(2)),
        (np.zeros(2), np.zeros(3)),
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.array([0.0, 1.0]), np.array([1.0, 0.0])),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),  # in another order on the screen
        ([1, 2], [1, 3]),
        ("1", 1),
    ],
    ids=lambda value: "",
)
def test_what_differs_is_told_apart(one, other):
    assert identity(one) != identity(other)
    assert identity([one]) != identity([other])


@pytest.mark.parametrize("value", [Setting(1), np.eye(2), {"a": np.eye(2)}, [1, "2"], None])
def test_equal_values_are_one(value):
    again = Setting(1) if isinstance(value, Setting) else value
    assert identity(again) == identity(value)
    assert hash(identity(again)) == hash(identity(value))


def test_another_function_makes_another_thing():
    assert made(min, 1, 2) == 1
    assert made(max, 1, 2) == 2


@pytest.mark.slow
def test_no_result_is_kept_alive_and_none_is_taken_for_one_that_is_gone(calls):
    def make(result):
        calls.append(result.value)
        return result.value

    result = Result(1)
    made(make, result)
    gone = weakref.ref(result)
    del result
    gc.collect()
    assert gone() is None
    for value in range(2, 50):  # one of them may lie where the first lay
        assert made(make, Result(value)) == value
    assert calls == list(range(1, 50))


def test_the_oldest_things_go_first(monkeypatch, calls):
    monkeypatch.setattr(Shelf, "LIMIT", 2)
    kept = Shelf()
    for key in ("a", "b", "a", "c", "a", "b"):
        kept.get(key, lambda key=key: calls.append(key))
    assert calls == ["a", "b", "c", "b"]


def test_light_and_dark_figures_are_two(monkeypatch):
    class Context:
        class theme:  # as Streamlit calls it
            type = "light"

    monkeypatch.setattr(shelf.st, "context", Context)

    def draw(values):
        return go.Figure(go.Scatter(y=values))

    light = drawn(draw, [1, 2])
    Context.theme.type = "dark"
    dark = drawn(draw, [1, 2])
    assert light.layout.font.color != dark.layout.font.color
    Context.theme.type = "light"
    assert drawn(draw, [1, 2]) is light
    assert drawn(lambda: None) is None


def test_heat_lies_over_its_picture():
    base = picture_link(np.zeros((28, 20, 3), np.uint8), 100, small=False)
    assert base.size == (100, 140)  # whole pixels: five times as large
    assert base.file.startswith("data:image/png")
    assert heat_link(np.eye(7, dtype=np.float32), base, small=True).startswith("data:image/jpeg")
    assert picture_link(np.zeros((28, 20, 3), np.uint8), 100, small=False) is base
