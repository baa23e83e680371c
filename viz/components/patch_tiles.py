"""Pictures with a box where something of them is seen, each beside what lies in the box."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import streamlit as st

from viz.components.browser_parts import component

Shares = tuple[float, float, float, float]


@dataclass(frozen=True)
class PatchTile:
    """One picture. picture, crop, heat: data links; crop is '' where the box leaves little out, heat without one.

    ratio: of the picture's width to its height. box, seen: left, top, right and bottom as shares of the picture; `seen`
    is where the heat map lies. clipped: the sides, of these four, at which what is boxed goes on beyond the picture.
    part: where the crop lies in the square of all that is boxed, as shares of that. centre: of this, as shares of the
    picture; it is marked where there is no crop. chosen: whether the tile is marked. hint: what the pointer tells.
    """

    title: str
    caption: str
    picture: str
    ratio: float
    box: Shares
    clipped: tuple[int, ...]
    crop: str
    part: Shares
    centre: tuple[float, float]
    seen: Shares
    heat: str
    chosen: bool
    alt: str
    hint: str


_COMPONENT = component("patch_tiles", '<div class="tiles"></div>')


def patch_tiles(tiles: Sequence[PatchTile], opacity: float, key: str, on_pick: Callable[[int, bool], None]) -> None:
    """Tiles, as many side by side as there is room for.

    opacity: of the heat maps, in [0, 1]. `on_pick` hears the place of a tile that is clicked, and whether Shift,
    Control or Command was held with it, before the page runs again.
    """

    def picked() -> None:
        pick = st.session_state[key].pick
        if isinstance(pick, list) and len(pick) == 2 and type(pick[0]) is int and 0 <= pick[0] < len(tiles):
            on_pick(pick[0], bool(pick[1]))

    data = {"tiles": [asdict(tile) for tile in tiles], "opacity": opacity}
    _COMPONENT(key=key, data=data, on_pick_change=picked)
