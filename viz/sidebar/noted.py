"""What is noted of the chosen images, at the side: corrected labels on or off, selecting by notes, and all of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from features import files
from features.errors import FeatureError
from viz import widgets
from viz.sidebar import all_notes, noting
from viz.sidebar import selected as of_selection

if TYPE_CHECKING:
    from features.datasets import ImageSet
    from features.notes import NotedImages
    from features.selection import Selection

CORRECTIONS, TAKEN = "corrections", "selected by notes"
RELABELLED, WITH_NOTE, TAG = "relabelled", "with a note", "tag "


def show(images: Callable[[], "ImageSet"]) -> None:
    """The controls. images: opens the chosen set as its source labels it."""
    noting.tell_saved()
    kept, selects = files.notes_file().exists(), of_selection.selects_of_others()
    if not (kept or selects or noting.PENDING in st.session_state):
        return  # nobody has noted anything, and the first page need not open images for it
    try:
        opened = images()
        if noting.PENDING in st.session_state:
            noting.save(opened)
        with st.container(horizontal=True, key="notes at the side"):
            if (chosen := of_selection.selection(opened)) is not None:
                with st.popover(f"Tag or relabel {len(chosen):,}", icon=":material/sell:"):
                    noting.of_selection(opened, chosen.rows.tolist())
            if kept and st.button("Notes", icon=":material/history_edu:", type="tertiary", help="All of them; undo."):
                all_notes.show()
        if kept:
            _noted(opened)
    except FeatureError as error:
        st.caption(f":material/error: {widgets.told(str(error))}")


def corrected(images: "ImageSet") -> "ImageSet":
    """The images with corrected labels, if the visitor wants these. Raises FeatureError if notes cannot be read."""
    if not st.session_state.get(CORRECTIONS) or not files.notes_file().exists():
        return images
    from viz.cached import notes

    return notes.corrected(images, widgets.awaited(notes.noted_work(images), "Looking for noted images"))


def of_images(images: "ImageSet") -> "NotedImages | None":
    """What is noted of a set's images; None while that is not known, or nobody has noted anything."""
    if not files.notes_file().exists():
        return None
    from viz.cached.notes import noted_work

    return widgets.arriving(noted_work(images), "Looking for noted images")


def _noted(images: "ImageSet") -> None:
    noted = of_images(images)
    if noted is None:
        return
    n_labels = len(noted.selection(relabelled=True))
    if n_labels or st.session_state.get(CORRECTIONS):
        st.toggle(
            "With corrected labels",
            key=CORRECTIONS,
            bind="query-params",
            help=f"{n_labels:,} of these {len(images):,} images are relabelled. Results with corrected labels are told "
            "apart from those without, in their names, files and links.",
        )
    _select(images, noted)


def _select(images: "ImageSet", noted: "NotedImages") -> None:
    """Selecting images by what is noted of them."""
    options = {f"{TAG}{tag}": number for tag, number in noted.tags().items()}
    options |= {RELABELLED: len(noted.selection(relabelled=True)), WITH_NOTE: len(noted.selection(with_note=True))}
    options = {name: number for name, number in options.items() if number}
    if not options:
        return

    def take() -> None:
        if (name := st.session_state[TAKEN]) is not None:
            of_selection.choose(_chosen(noted, name))
            st.session_state[TAKEN] = None

    st.selectbox(
        "Select images by notes", [*options], index=None, key=TAKEN, on_change=take, placeholder="select noted images",
        label_visibility="collapsed", format_func=lambda name: f"{name.removeprefix(TAG)} ({options.get(name, 0):,})",
    )  # fmt: skip


def _chosen(noted: "NotedImages", name: str) -> "Selection":
    if name.startswith(TAG):
        return noted.selection(tag=name.removeprefix(TAG))
    return noted.selection(relabelled=name == RELABELLED, with_note=name == WITH_NOTE)
