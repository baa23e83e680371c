"""What was lately made of results for the screen: figures, tables, pictures. A page makes them anew with every run.

To draw a figure takes longer than all else on a page, and from one run to the next hardly any changes.
"""

import hashlib
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar

import plotly.graph_objects as go
import streamlit as st

from viz import theme

Made = TypeVar("Made")
FigureOrNone = TypeVar("FigureOrNone", bound=go.Figure | None)


def made(make: Callable[..., Made], *of: Any) -> Made:
    """What `make(*of)` makes, which must depend on nothing else. It is shared: nobody may change it.

    Of what it is made of, results are told apart by what they are, arrays by their content, all else by its value.
    """
    return _shelf().get((make, identity(of)), lambda: make(*of))


def drawn(draw: Callable[..., FigureOrNone], *shown: Any) -> FigureOrNone:
    """As `made`, of figures: in the visitor's light or dark colours."""
    dark = st.context.theme.type == "dark"

    def inked() -> FigureOrNone:
        figure = draw(*shown)
        return figure if figure is None else theme.ink(figure, dark)

    return _shelf().get((draw, identity(shown), dark), inked)


@st.cache_resource(show_spinner=False)
def _shelf() -> "Shelf":
    return Shelf()


class Shelf:
    """What was made lately, by what it was made of: at most LIMIT things, the oldest go first."""

    LIMIT = 256

    def __init__(self) -> None:
        self._things: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        with self._lock:
            if key in self._things:
                self._things.move_to_end(key)
                return self._things[key]
        thing = make()
        with self._lock:
            self._things[key] = thing
            while len(self._things) > self.LIMIT:
                self._things.popitem(last=False)
        return thing


def identity(value: Any) -> Hashable:
    """What tells a value from others. It keeps no result alive: when one is gone, no other equals it."""
    np = sys.modules.get("numpy")  # without it there is no array, and the first page need not wait for it
    if np is not None and isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, hashlib.sha256(np.ascontiguousarray(value).data).digest()
    if isinstance(value, Mapping):
        return tuple((name, identity(each)) for name, each in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(identity, value))
    if is_dataclass(value) and type(value).__eq__ is object.__eq__:
        return weakref.ref(value)
    return value
