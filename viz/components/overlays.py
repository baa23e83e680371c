"""Pictures under heat maps, with one slider for the opacity of all."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import streamlit as st

from viz.components.browser_parts import component


@dataclass(frozen=True)
class Overlay:
    """One tile of the overlay gallery; picture and heat are data links, heat is '' for a tile without one."""

    title: str
    caption: str
    picture: str
    heat: str
    alt: str


_COMPONENT = component(
    "overlays",
    """
<label class="opacity">Heat map opacity
  <input type="range" min="0" max="100" step="1" aria-label="Heat map opacity">
  <output></output>
</label>
<div class="tiles"></div>
""",
)


def overlays(
    tiles: Sequence[Overlay],
    opacity: float,
    key: str,
    columns: int = 0,
    pick: str = "",
    on_pick: Callable[[int], None] | None = None,
) -> float:
    """Pictures under heat maps, with one slider for all; returns the opacity in [0, 1].

    columns: tiles in a row, 0 for as many as fit. pick: what a click on a tile does, in words, or '' for nothing;
    `on_pick` hears which before the page runs again.

    Moving the slider changes the pictures in the browser; the server hears of it when the slider is let go.
    """

    def picked() -> None:
        place = st.session_state[key].place
        if on_pick is not None and isinstance(place, int) and 0 <= place < len(tiles):
            on_pick(place)

    state = _COMPONENT(
        key=key,
        data={"tiles": [asdict(tile) for tile in tiles], "opacity": opacity, "columns": columns, "pick": pick},
        default={"opacity": opacity},
        on_opacity_change=lambda: None,
        on_place_change=picked,
    )
    value = state.opacity
    return min(1.0, max(0.0, float(value))) if isinstance(value, int | float) else opacity
