"""What visitors note of images: the fields to tag, relabel and write a note, for one picture or a selection."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from features.errors import FeatureError
from viz import widgets

if TYPE_CHECKING:
    from features.datasets import ImageSet
    from features.notes import ImageNotes

SAVED = "what was noted"  # to be told when the page has run again
PENDING = "what is to be noted"  # while the images are looked at for it


def of_image(images: "ImageSet", row: int, key: str) -> None:
    """What is noted of one image, and the fields to change it. key: tells it from others on the page."""
    from viz.cached.notes import noted_of

    try:
        known = noted_of(images, row)
    except (FeatureError, ValueError):  # an image that cannot be read has no notes, which the page tells already
        return
    with st.container(horizontal=True, vertical_alignment="center", key=f"notes of {key}"):
        if said := badges(known):
            st.markdown(said, width="content")
        with st.popover("Tag or relabel", icon=":material/sell:", help="This image; or write a note of it."):
            _one(images, row, known, f"{key} {known.digest[:12]}")


def badges(known: "ImageNotes") -> str:
    """Tags, a corrected label and a note as Markdown."""
    told = [f":violet-badge[:material/sell: {widgets.escape(tag)}]" for tag in known.tags]
    if known.label is not None:
        told.append(f":orange-badge[relabelled {widgets.escape(known.label)}]")
    if known.note:
        told.append(f":gray-badge[:material/notes: {widgets.escape(' '.join(known.note.split())[:80])}]")
    return " ".join(told)


def in_brackets(known: "ImageNotes") -> str:
    """The same as plain text behind a picture's name; '' for nothing."""
    told = [*known.tags, *([f"relabelled {known.label}"] if known.label is not None else [])]
    told += ["a note"] if known.note else []
    return f" [{', '.join(told)}]" if told else ""


def of_selection(images: "ImageSet", rows: Sequence[int]) -> None:
    """The fields to note the same of several images, by their numbers in a set."""
    from viz.cached.notes import current

    key = f"selected {len(rows)} {images.pictures_digest[:12]}"
    tags = [*current().tags]
    with st.form(key, border=False, clear_on_submit=True):
        more = st.multiselect("Give them tags", tags, accept_new_options=True, key=f"more {key}", placeholder="a name")
        less = st.multiselect("Take tags away", tags, key=f"less {key}") if tags else []
        label = _label(images, None, f"label {key}")
        note = st.text_area("Note", key=f"note {key}", height=68)
        if st.form_submit_button(f"Note of {len(rows):,} images", icon=":material/sell:"):
            with widgets.show_errors():
                values = _tags(more, True) | _tags([tag for tag in less if tag not in more], False)
                values |= ({"label": label} if label else {}) | ({"note": note} if note.strip() else {})
                _ask(images, rows, values)


def _one(images: "ImageSet", row: int, known: "ImageNotes", key: str) -> None:
    from viz.cached.notes import current

    tags = sorted({*current().tags, *known.tags})
    with st.form(f"note {key}", border=False):
        chosen = st.multiselect(
            "Tags", tags, default=known.tags, accept_new_options=True, key=f"tags {key}", placeholder="a name"
        )
        label = _label(images, known.label, f"label {key}")
        note = st.text_area("Note", known.note, key=f"text {key}", height=68)
        if st.form_submit_button("Save", icon=":material/save:"):
            with widgets.show_errors():
                changed = _tags(set(chosen) - set(known.tags), True) | _tags(set(known.tags) - set(chosen), False)
                changed |= {"label": label} if (label or None) != known.label else {}
                changed |= {"note": note} if note.strip() != known.note else {}
                _ask(images, [row], changed)
    if known.by:
        st.caption(f"Last by {widgets.escape(known.by)}, {known.at[:16].replace('T', ' ')} UTC.")


def _label(images: "ImageSet", known: str | None, key: str) -> str | None:
    names = [*images.class_names]
    options = names if known is None or known in names else [*names, known]
    several = " Several with ';' between them." if images.label_sets is not None else ""
    return st.selectbox(
        "Corrected label",
        options,
        index=None if known is None else options.index(known),
        accept_new_options=True,
        key=key,
        placeholder="as the source says",
        help=f"It takes the place of the source's where “With corrected labels” is on at the side.{several}",
    )


def _tags(names: "Sequence[str] | set[str]", given: bool) -> dict[str, str | None]:
    from features.notes import TAG, YES, field_of

    return {field_of(TAG, name): YES if given else None for name in names}


def _ask(images: "ImageSet", rows: Sequence[int], values: dict[str, str | None]) -> None:
    if values:
        st.session_state[PENDING] = (images.pictures_digest, [*map(int, rows)], values)
        st.rerun()


def save(images: "ImageSet") -> None:
    """Write what was asked for of a set, as soon as its images are looked at; this draws how far that is."""
    from features.notes import record
    from features.notes.images import need_all
    from viz.cached.notes import book, contents_work

    digest, rows, values = st.session_state[PENDING]
    if digest != images.pictures_digest:  # other images were chosen meanwhile
        del st.session_state[PENDING]
        return
    told = widgets.arriving(contents_work(images, rows), f"Looking at {len(rows):,} images")
    if told is None:
        return
    del st.session_state[PENDING]
    need_all(told.rejected, len(rows))
    act = record(book(), images, told.of, values)
    st.session_state[SAVED] = "Nothing changes: that is noted already." if act is None else f"Noted: {act.what}."
    st.rerun()


def tell_saved() -> None:
    """Say what was noted before the page ran again."""
    if (said := st.session_state.pop(SAVED, None)) is not None:
        st.toast(widgets.told(said), icon=":material/sell:")
