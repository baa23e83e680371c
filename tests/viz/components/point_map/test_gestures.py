"""What a browser may send, and what becomes of a selection."""

import numpy as np
import pytest

from viz.components.point_map.gestures import MOST_CORNERS, Bounds, Gesture, parsed, rows_of, selected_after
from viz.components.point_map.parts import Colours, Panel

BOUNDS = Bounds(frozenset({"a", "b"}), 4, 2)
TRIANGLE = [[0, 0], [1.5, 0], [0, 1]]
POINT = {"kind": "point", "serial": 5, "panel": "a", "row": 3, "mode": "add"}
POLYGON = {"kind": "polygon", "serial": 5, "panel": "b", "polygon": TRIANGLE, "mode": "remove"}

PANELS = [
    Panel("a", "A", np.array([[0.0, 0], [0, 2], [2, 0], [2, 2]])),
    Panel("b", "B", np.array([[9.0, 9], [0.2, 0.2], [9, 9], [0.3, 0.3]])),
]
COLOURS = Colours(np.array([0, 1, 1, -1]), ["red"], ["cat", "dog"])


def test_gestures_of_every_kind_are_understood():
    assert parsed(POINT, BOUNDS) == Gesture("point", 5, "add", "a", row=3)
    assert parsed(POLYGON, BOUNDS) == Gesture("polygon", 5, "remove", "b", ((0, 0), (1.5, 0), (0, 1)))
    assert parsed({"kind": "category", "serial": 1, "category": 1}, BOUNDS) == Gesture("category", 1, category=1)
    assert parsed({"kind": "category", "serial": 1, "category": -1}, BOUNDS) == Gesture("category", 1)
    assert parsed({"kind": "clear", "serial": 2**53 - 1}, BOUNDS) == Gesture("clear", 2**53 - 1)


@pytest.mark.parametrize(
    "sent",
    [
        None, [], "polygon", 3, {}, {"kind": "drop", "serial": 1}, {"kind": ["clear"], "serial": 1}, {"kind": "clear"},
        *({"kind": "clear", "serial": serial} for serial in (0, -1, 1.0, True, "1", 2**53, None)),
        *({**POINT, "row": row} for row in (-1, 4, 2.0, True, "1", None, [1])),
        *({**POINT, "panel": panel} for panel in ("c", "", 0)),
        *({**POINT, "mode": mode} for mode in ("xor", 1)),
        *({"kind": "category", "serial": 1, "category": category} for category in (2, -2, 0.0, None)),
        *({**POLYGON, "polygon": polygon} for polygon in (None, [], TRIANGLE[:2], "abc", {}, [0, 1, 2], [[0]] * 3)),
        {**POLYGON, "polygon": [[0, 0]] * (MOST_CORNERS + 1)},
        *({**POLYGON, "polygon": [*TRIANGLE, [0, y]]} for y in (float("nan"), float("inf"), "1", None, True, 10**400)),
    ],
)  # fmt: skip
def test_all_else_is_no_gesture(sent):
    assert parsed(sent, BOUNDS) is None


@pytest.mark.parametrize("panel", [[], {}])
def test_names_that_cannot_be_looked_up_are_no_gesture_either(panel):
    assert parsed({**POINT, "panel": panel}, BOUNDS) is None


@pytest.mark.parametrize("mode", [[], {}])
def test_modes_that_cannot_be_looked_up_are_no_gesture_either(mode):
    assert parsed({**POINT, "mode": mode}, BOUNDS) is None


@pytest.mark.parametrize(
    ("gesture", "rows"),
    [
        (Gesture("point", 1, panel="a", row=2), [2]),
        (Gesture("category", 1, category=1), [1, 2]),
        (Gesture("category", 1, category=-1), [3]),
        (Gesture("polygon", 1, panel="b", polygon=((0, 0), (1, 0), (1, 1), (0, 1))), [1, 3]),
        (Gesture("polygon", 1, panel="a", polygon=((-1, -1), (1, -1), (1, 1), (-1, 1))), [0]),
        (Gesture("clear", 1), []),
    ],
)
def test_gestures_are_about_their_rows(gesture, rows):
    assert np.flatnonzero(rows_of(gesture, PANELS, COLOURS)).tolist() == rows


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        ("replace", [0, 1], [1, 2]),
        ("add", [0, 1], [0, 1, 2]),
        ("remove", [0, 1], [0]),
        ("replace", None, [1, 2]),
        ("add", None, [1, 2]),
        ("remove", None, []),
    ],
)
def test_a_gesture_replaces_adds_or_takes_away(mode, before, after):
    selected = None if before is None else np.isin(np.arange(4), before)
    kept = None if selected is None else selected.copy()
    done = selected_after(Gesture("category", 1, mode, category=1), PANELS, COLOURS, selected)
    assert np.flatnonzero(done).tolist() == after
    assert before is None or (selected == kept).all()


@pytest.mark.parametrize("mode", ["replace", "add", "remove"])
def test_clearing_leaves_nothing_whatever_keys_are_held(mode):
    assert not selected_after(Gesture("clear", 1, mode), PANELS, COLOURS, np.ones(4, bool)).any()
