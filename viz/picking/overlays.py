"""Pictures under heat maps with one opacity for all, which is chosen on any page that shows them."""

from collections.abc import Callable, Sequence

import streamlit as st

from viz.components import Overlay, overlays

SMALL_SIDE, OPACITY = 160, 0.55  # px of pictures of which many are shown


def lay_over(
    tiles: Sequence[Overlay], key: str, columns: int = 0, pick: str = "", on_pick: Callable[[int], None] | None = None
) -> float:
    """Show the tiles and keep the opacity that is chosen there, which comes back. pick, on_pick: as of `overlays`."""
    opacity = overlays(tiles, _opacity(), key, columns, pick, on_pick)
    if opacity != st.session_state["opacity"]:
        st.session_state["opacity"] = opacity
        st.query_params["opacity"] = f"{opacity:g}"
    return opacity


def _opacity() -> float:
    """The opacity chosen last, or in the URL; browser parts cannot be bound to it as Streamlit's own controls are."""
    if "opacity" not in st.session_state:
        try:
            given = float(st.query_params.get("opacity", OPACITY))
        except ValueError:
            given = OPACITY
        st.session_state["opacity"] = min(1.0, max(0.0, given))
    return st.session_state["opacity"]
