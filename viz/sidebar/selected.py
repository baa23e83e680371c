"""The images that a visitor has chosen among those of the set: one selection for all pages, by its key in the URL."""

from typing import TYPE_CHECKING

import streamlit as st

from features.errors import DatasetError

if TYPE_CHECKING:
    import numpy as np

    from features.datasets import ImageSet
    from features.selection import Selection

STATE, OF = "selection", "of"
MISSING = "selection that is missing"  # why what a link names cannot be shown, until something else is selected
ALL, SELECTED = "all images", "the selection"


def selection(images: "ImageSet") -> "Selection | None":
    """What is chosen of a set; None for nothing, or while what is chosen is of another set."""
    from features.selection import kept

    key = st.session_state.get(STATE, st.query_params.get(STATE))
    if not key:
        return None
    try:
        chosen = kept(key)
    except DatasetError as error:
        st.session_state[STATE] = ""
        st.query_params.pop(STATE, None)
        raise error
    st.session_state[STATE] = key
    if st.query_params.get(STATE) != key:  # a page that is opened by its name comes without
        st.query_params[STATE] = key
    return chosen if chosen.images == images.pictures_digest and len(chosen) else None


def selects_of_others() -> bool:
    """Whether something is selected, of another set than the one that a page is about."""
    return bool(st.session_state.get(STATE))


def choose(chosen: "Selection | None") -> None:
    """Take another selection for all pages; None for none."""
    from features.selection import keep

    key = keep(chosen) if chosen is not None and len(chosen) else ""
    st.session_state[STATE] = key
    st.session_state.pop(MISSING, None)
    if key:
        st.query_params[STATE] = key
    else:
        st.query_params.pop(STATE, None)


def select(images: "ImageSet", rows: "np.ndarray") -> None:
    """Take some images of a set, by their numbers (R,), as the selection of all pages."""
    import numpy as np

    from features.selection import Selection

    choose(Selection(images.pictures_digest, np.unique(rows), len(images)))


def named(images: "ImageSet") -> dict[str, "Selection"]:
    """The selections of a set that were given names on this server, in that order."""
    from features import selection

    return selection.named(images.pictures_digest)


def give_name(name: str, chosen: "Selection") -> None:
    """Keep a selection under a name, in place of one that was called so."""
    from features import selection

    selection.name(chosen, name)


def take_name(images: "ImageSet", name: str) -> None:
    """Take a name away again."""
    from features import selection

    selection.forget(images.pictures_digest, name)


def show(images: "ImageSet") -> None:
    """The choice, in the sidebar, between all images and those selected, where some are."""
    try:
        chosen = selection(images)
    except DatasetError as error:
        chosen, st.session_state[MISSING] = None, str(error)
    if chosen is None:
        if MISSING in st.session_state:  # also while the page runs again for work that arrives
            st.warning(st.session_state[MISSING], icon=":material/link_off:")
        return
    st.segmented_control(
        "Pages are about",
        (ALL, SELECTED),
        default=ALL,
        key=OF,
        bind="query-params",
        required=True,
        format_func=lambda of: f"all {len(images):,}" if of == ALL else f"{len(chosen):,} selected",
        help="Which images Saliency, Channels, Evaluation, Residual branches and Features are about. Select some on "
        "the pages Channels, Embedding, Evaluation and Compare.",
    )


def narrowed(images: "ImageSet") -> "ImageSet":
    """The images that pages are about: all of a set, or those selected of it."""
    if st.session_state.get(OF) != SELECTED:
        return images
    chosen = selection(images)
    return images if chosen is None else images.select(chosen)
