"""The map of points as a part of a page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from features.errors import FeatureError
from viz.components.point_map import media, modules
from viz.components.point_map.gestures import Bounds, Gesture, parsed
from viz.components.point_map.parts import Binary, Colours, Panel, Pictures, Texts

HERE = Path(__file__).parent
LEAST_HEIGHT = 320
_HTML = """
<div class="point-map-width"><div class="point-map" role="group" aria-label="Map of points"></div></div>
"""


@dataclass(frozen=True, eq=False)
class Details:
    """What the pointer brings up, and how the maps are framed.

    texts, pictures: of each row, or None. ringed: the row that the page is about, None for none. pins: a map's name ->
    (x, y) of places that are no points, in the points' units. total: how many images there are, where only a sample of
    them is shown. height: in pixels, or None to fill the window's height below the part's own top.
    """

    texts: Texts | None = None
    pictures: Pictures | None = None
    total: int | None = None
    height: int | None = None
    ringed: int | None = None
    pins: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)


@cache
def _component() -> Any:
    """Registered with the first map of the process. Its script is a loader: the modules are fetched by address."""
    style = (HERE / "point_map.css").read_text(encoding="utf-8")
    loader = (HERE / "loader.js").read_text(encoding="utf-8")
    return st.components.v2.component("point_map", html=_HTML, css=style, js=loader)


def point_map(
    panels: Sequence[Panel],
    colours: Colours,
    selected: np.ndarray | None,
    key: str,
    on_gesture: Callable[[Gesture], None],
    details: Details | None = None,
) -> None:
    """Maps of the same N images side by side, in WebGL: from a few points to a million.

    selected: (N,) bool, drawn on top of the others, which fade; None or all False for no selection. on_gesture hears of
    each lasso, box, click and key once, before the page runs again. What is selected is the page's to say: without a
    new `selected` nothing changes on the screen (`selected_after` says what a gesture makes of it).

    Points, colours, the selection and everything else of size travel by address, and only when they have changed: keep
    panels, colours and texts from one run to the next, so that they are not hashed again. Raises FeatureError where
    panels, colours, selection and details do not belong to the same images.
    """
    details = details or Details()
    n_rows = _count(panels, colours, selected, details)
    bounds = Bounds(frozenset(panel.name for panel in panels), n_rows, len(colours.names))
    data = {
        "key": key,
        "script": modules.address(HERE / "browser", "map.js"),
        "count": n_rows,
        "panels": [{**_panel(panel, colours, key), "pins": _pins(details, panel)} for panel in panels],
        "colours": _address(colours.binary, f"{key} colours"),
        "legend": _address(colours.legend, f"{key} legend"),
        "handled": st.session_state.get(_handled(key), 0),
        **_selection(selected, key),
        **_details(details, n_rows, key),
    }
    _component()(key=key, data=data, on_gestures_change=lambda: _receive(key, bounds, on_gesture))


def _handled(key: str) -> str:
    """Where the number of a map's last gesture is kept."""
    return f"{key} handled"


def _receive(key: str, bounds: Bounds, on_gesture: Callable[[Gesture], None]) -> None:
    """Hand on what is new. The browser sends what it has not seen handled again and again: a run may be cut short."""
    sent = st.session_state[key].gestures
    for each in sent if isinstance(sent, list) else []:
        gesture = parsed(each, bounds)
        if gesture is not None and gesture.serial > st.session_state.get(_handled(key), 0):
            st.session_state[_handled(key)] = gesture.serial
            on_gesture(gesture)


def _count(panels: Sequence[Panel], colours: Colours, selected: np.ndarray | None, details: Details) -> int:
    """N, of which all parts have as many; raises FeatureError if they do not."""
    if not panels:
        raise FeatureError("A frame of maps needs at least one map, but got none.")
    if len({panel.name for panel in panels}) < len(panels):
        raise FeatureError(f"Maps need different names, but got {[panel.name for panel in panels]}.")
    numbers = {f"the map '{panel.name}'": len(panel) for panel in panels} | {"the colours": len(colours)}
    numbers |= {f"the values of '{panel.name}'": len(panel.values) for panel in panels if panel.values is not None}
    if selected is not None:
        if selected.dtype != np.bool_:
            raise FeatureError(f"A selection is (N,) bool, but got {selected.dtype}.")
        numbers["the selection"] = len(selected)
    if details.texts is not None:
        numbers["the texts"] = details.texts.count
    if details.pictures is not None and details.pictures.positions is not None:
        numbers["the pictures"] = len(details.pictures.positions)
    if len(set(numbers.values())) > 1:
        said = ", ".join(f"{name} {number:,}" for name, number in numbers.items())
        raise FeatureError(f"All parts of a map must be of the same images, but there are rows: {said}.")
    return len(colours)


def _address(binary: Binary, part: str, mimetype: str = media.BINARY) -> str:
    return media.address(binary.content, part, mimetype, binary.name)


def _panel(panel: Panel, colours: Colours, key: str) -> Mapping[str, Any]:
    part = f"{key} {panel.name}"
    neighbours = panel.neighbours_binary
    return {
        "name": panel.name,
        "title": panel.title,
        "note": panel.note,
        "points": _address(panel.binary, f"{part} points", media.RAW),
        "values": "" if panel.values is None else media.address(colours.encoded(panel.values), f"{part} values"),
        "neighbours": "" if neighbours is None else _address(neighbours, f"{part} neighbours"),
        "k": 0 if panel.neighbours is None else panel.neighbours.shape[1],
    }


def _pins(details: Details, panel: Panel) -> list[list[float]]:
    return [[float(x), float(y)] for x, y in details.pins.get(panel.name, ())]


def _selection(selected: np.ndarray | None, key: str) -> Mapping[str, Any]:
    """One bit a row, the lowest first."""
    if selected is None or not selected.any():
        return {"selected": "", "chosen": 0}
    bits = np.packbits(selected, bitorder="little").tobytes()
    return {"selected": media.address(bits, f"{key} selected"), "chosen": int(selected.sum())}


def _details(details: Details, n_rows: int, key: str) -> Mapping[str, Any]:
    texts, pictures = details.texts, details.pictures
    positions = None if pictures is None else pictures.positions_binary
    return {
        "texts": "" if texts is None else _address(texts.binary, f"{key} texts"),
        "pictures": "" if pictures is None else _address(pictures.binary, f"{key} pictures"),
        "positions": "" if positions is None else _address(positions, f"{key} positions"),
        "total": n_rows if details.total is None else int(details.total),
        "ringed": -1 if details.ringed is None else int(details.ringed),
        "height": 0 if details.height is None else max(LEAST_HEIGHT, int(details.height)),
    }
