"""Small pictures of many images, which scroll."""

from collections.abc import Callable, Sequence

import streamlit as st

from viz.components.browser_parts import component

_COMPONENT = component(
    "picture_grid",
    """
<div class="grid" role="listbox" aria-label="Images" tabindex="0"><div class="room"></div></div>
""",
)


def picture_grid(
    sheet: str,
    columns: int,
    pictures: Sequence[int],
    titles: Sequence[str],
    key: str,
    on_pick: Callable[[int], None],
    tallest: int = 360,
) -> None:
    """Small pictures that scroll, thousands of them: only those in sight are made.

    sheet: the address of a sheet of square pictures in rows of `columns`. pictures: which of them, in order; titles: of
    each, as many or fewer. `on_pick` hears the place in that order of a picture that is clicked, before the page runs
    again. tallest: px of their height, above which they scroll.
    """

    def picked() -> None:
        place = st.session_state[key].place
        if isinstance(place, int) and not isinstance(place, bool) and 0 <= place < len(pictures):
            on_pick(place)

    numbers = [int(each) for each in pictures]
    data = {"sheet": sheet, "columns": columns, "pictures": numbers, "titles": list(titles), "tallest": tallest}
    _COMPONENT(key=key, data=data, on_place_change=picked)
