"""Small pictures to choose one from."""

from collections.abc import Callable, Sequence

import streamlit as st

from viz.components.browser_parts import component

_COMPONENT = component(
    "picture_picker",
    """
<div class="strip" role="listbox" aria-label="Images of the set"></div>
""",
)


def picture_picker(
    sheet: str, columns: int, titles: Sequence[str], chosen: int | None, key: str, on_pick: Callable[[int], None]
) -> None:
    """Small pictures to choose one from, by mouse or keyboard; `on_pick` hears which before the page runs again.

    sheet: a data link to a sheet of square pictures, one for each title, in rows of `columns`. chosen: the place
    of the present choice, or None.
    """

    def picked() -> None:
        place = st.session_state[key].place
        if isinstance(place, int) and 0 <= place < len(titles):
            on_pick(place)

    data = {"sheet": sheet, "columns": columns, "titles": list(titles), "chosen": chosen}
    _COMPONENT(key=key, data=data, on_place_change=picked)
