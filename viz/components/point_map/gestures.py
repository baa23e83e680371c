"""What a visitor did on a map, as the server believes it: a browser can send anything."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeGuard, get_args

import numpy as np

from features.embed.regions import inside
from viz.components.point_map.parts import Colours, Panel

Kind = Literal["polygon", "point", "category", "clear"]
Mode = Literal["replace", "add", "remove"]
MOST_CORNERS = 2000


@dataclass(frozen=True)
class Gesture:
    """One thing that a visitor did.

    serial: grows with every gesture of a visitor, so that each is applied once. mode: what becomes of the selection.
    panel: the map's name, of a polygon or a point. polygon: its corners (x, y) in the points' units. row: of a point.
    category: of a click on the legend; -1 is the points without one.
    """

    kind: Kind
    serial: int
    mode: Mode = "replace"
    panel: str = ""
    polygon: tuple[tuple[float, float], ...] = ()
    row: int = -1
    category: int = -1


@dataclass(frozen=True)
class Bounds:
    """What gestures can be about: the maps' names, the numbers of rows and of categories."""

    panels: frozenset[str]
    rows: int
    categories: int


def parsed(sent: Any, bounds: Bounds) -> Gesture | None:
    """What a browser sent as a gesture, or None if it is none."""
    if not isinstance(sent, Mapping) or sent.get("kind") not in get_args(Kind):
        return None
    serial, mode = sent.get("serial"), sent.get("mode", "replace")
    if not _is_whole(serial, 1, 2**53) or mode not in get_args(Mode):
        return None
    gesture = Gesture(sent["kind"], serial, mode)
    if gesture.kind == "clear":
        return gesture
    if gesture.kind == "category":
        category = sent.get("category")
        return replace(gesture, category=category) if _is_whole(category, -1, bounds.categories) else None
    panel = sent.get("panel")
    if not isinstance(panel, str) or panel not in bounds.panels:
        return None
    gesture = replace(gesture, panel=panel)
    if gesture.kind == "point":
        row = sent.get("row")
        return replace(gesture, row=row) if _is_whole(row, 0, bounds.rows) else None
    corners = _corners(sent.get("polygon"))
    return replace(gesture, polygon=corners) if corners else None


def _is_whole(value: Any, low: int, end: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value < end


def _corners(sent: Any) -> tuple[tuple[float, float], ...]:
    """The corners of a polygon, or none if it is no polygon."""
    if not isinstance(sent, list) or not 3 <= len(sent) <= MOST_CORNERS:
        return ()
    if not all(isinstance(corner, list) and len(corner) == 2 and all(map(_is_finite, corner)) for corner in sent):
        return ()
    return tuple((float(x), float(y)) for x, y in sent)


def _is_finite(value: Any) -> bool:
    """Whether it is a number that float32 can tell, as the points are."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= 1e38 if isinstance(value, int) else math.isfinite(value)


def rows_of(gesture: Gesture, panels: Sequence[Panel], colours: Colours) -> np.ndarray:
    """(N,) bool: the rows that a gesture is about, whatever its mode."""
    if gesture.kind == "category":
        return colours.values == gesture.category
    about = np.zeros(len(colours), dtype=bool)
    if gesture.kind == "point":
        about[gesture.row] = True
    if gesture.kind == "polygon":
        points = next(panel.points for panel in panels if panel.name == gesture.panel)
        return inside(points, np.array(gesture.polygon))
    return about


def selected_after(
    gesture: Gesture, panels: Sequence[Panel], colours: Colours, selected: np.ndarray | None
) -> np.ndarray:
    """(N,) bool: the selection after a gesture; selected is that before, None for none."""
    about = rows_of(gesture, panels, colours)
    if selected is None or gesture.mode == "replace" or gesture.kind == "clear":
        return np.zeros_like(about) if gesture.mode == "remove" else about
    return selected | about if gesture.mode == "add" else selected & ~about
