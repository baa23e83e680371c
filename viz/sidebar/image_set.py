"""The choice of the images."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from features.errors import DatasetError, FeatureError
from features.sources import ALL, ARCHIVES, EXTENSIONS, LISTS, SAMPLE, TABLES, split_of
from viz import widgets
from viz.sidebar import noted, paths, table_columns
from viz.sidebar import selected as of_selection
from viz.sidebar.own_files import inside_roots, keep_to_roots, keep_upload

if TYPE_CHECKING:
    from features.datasets import ImageSet
    from features.datasets.labels import Matched
    from viz.cached.images import Chosen

FOLDER = "a folder or zip of mine"
SPLIT, OFFERED = "split", "offered paths"
NAMED, THUMBNAIL_WIDTH = 12, 56
UPLOADS = [*dict.fromkeys(ending.rpartition(".")[2] for ending in (*ARCHIVES, *TABLES, *LISTS, *EXTENSIONS))]
IMAGE_LIMITS = (100, 300, 1000, 3000, 10_000)


def choose(matched: Callable[["ImageSet"], "Matched"]) -> None:
    """matched: how a set's labels are matched with the network's classes. Raises FeatureError without a network."""
    st.selectbox("Images", (SAMPLE, FOLDER), key="images", bind="query-params")
    if st.session_state["images"] == FOLDER:
        st.text_input(
            "Path of the folder, archive or list",
            key="folder",
            bind="query-params",
            placeholder="~/pictures",
            help="On the machine that runs the app: flat, a folder per class, or with folders for splits; a zip or "
            "tar or what lies in one (set.zip/train), Parquet files, a list of paths (text, CSV, JSON Lines), COCO's "
            "JSON, or a pattern such as data/test-*.parquet.",
        )
        _offer()
        keep_upload(
            "or upload images or archives, with a list of labels or without, or Parquet files",
            UPLOADS,
            "folder",
            multiple=True,
        )
        with st.expander("or upload a whole folder"):
            keep_upload("A folder, as it is", None, "folder", multiple="directory")
        st.button(
            "Look again",
            icon=":material/refresh:",
            type="tertiary",
            on_click=_look_again,
            help="Changed files are noticed within seconds, in very large folders within minutes. This looks at once.",
        )
    understood = st.container()  # filled below: to know the network may take the images, and how many of them
    st.select_slider(
        "At most",
        IMAGE_LIMITS,
        value=1000,
        format_func=lambda number: f"{number:,} images",
        key="limit",
        bind="query-params",
        help="A balanced sample is taken from larger sets.",
    )
    if st.session_state["images"] == FOLDER:
        with understood:
            _understood(matched)
    with suppress(FeatureError):  # which the page shows
        if of_selection.STATE in st.session_state or of_selection.STATE in st.query_params:
            of_selection.show(images(selected=False))
    noted.show(lambda: images(selected=False, corrections=False))


def _offer() -> None:
    """Paths to choose from: what lies where the typed one leads, and what was opened before."""
    keep_to_roots()
    near = paths.nearby(st.session_state.get("folder") or "", (*ARCHIVES, *TABLES, *LISTS))
    options = [*near, *(each for each in paths.recent() if each not in near)]
    options = [each for each in options if each != (st.session_state.get("folder") or "").strip()]
    if not options:
        return

    def take() -> None:
        if chosen := st.session_state[OFFERED]:
            st.session_state["folder"] = chosen
            st.session_state[OFFERED] = None

    st.selectbox(
        "Paths nearby and opened before", options, index=None, key=OFFERED, on_change=take,
        placeholder="go on to, or back to", label_visibility="collapsed",
    )  # fmt: skip


def _look_again() -> None:
    from viz.cached.images import look_again

    with suppress(FeatureError):  # which the page shows
        place, _ = split_of(st.session_state.get("folder") or "")
        look_again(str(inside_roots(place, "images", DatasetError)))


def images(whole: bool = False, selected: bool = True, corrections: bool = True) -> "ImageSet":
    """The image set chosen in the sidebar, cut to the chosen number or whole.

    selected: whether those alone that are selected, if the visitor wants pages to be about these. corrections: whether
    with corrected labels, if the visitor wants these. Raises FeatureError if it cannot be opened.
    """
    from viz.cached.images import Chosen, sampled  # numpy, Pillow and pyarrow with it

    chosen = Chosen(SAMPLE) if st.session_state["images"] == SAMPLE else _chosen()
    opened = _opened(chosen)
    if whole:
        return opened
    taken = sampled(chosen, st.session_state["limit"], opened)
    if corrections:
        taken = noted.corrected(taken)
    return of_selection.narrowed(taken) if selected else taken


def others(text: str) -> "ImageSet":
    """The image set of a path that a visitor typed on a page, or of SAMPLE, cut to the number chosen in the sidebar.

    Raises FeatureError if it cannot be opened.
    """
    from viz.cached.images import Chosen, sampled

    chosen = Chosen(SAMPLE)
    if text != SAMPLE:
        place, split = _place_of(text)
        chosen = place if split is None else replace(place, source=f"{place.source}:{split}")
    return sampled(chosen, st.session_state["limit"], _opened(chosen))


def _chosen() -> "Chosen":
    """The visitor's own images, with the columns and the split that were chosen."""
    place, split = _place()
    place = table_columns.heeded(place)
    chosen = st.session_state.get(SPLIT)
    if split is None and chosen is not None and chosen in _splits(_opened(place)):
        split = chosen
    return place if split is None else replace(place, source=f"{place.source}:{split}")


def _opened(chosen: "Chosen") -> "ImageSet":
    """A whole set. While it is opened, the page shows how far that is, and stops here."""
    from viz.cached.images import sets

    held = sets().get(chosen)
    return held if held is not None else widgets.awaited(sets().work(chosen), "Opening the images")


def source() -> str:
    """Where the images of the sidebar come from, as `datasets.open_images` knows it."""
    chosen = st.session_state["images"]
    return chosen if chosen == SAMPLE else st.session_state.get("folder") or ""


def _place() -> tuple["Chosen", str | None]:
    """Where the visitor's own images lie, and the split that is named there."""
    return _place_of(st.session_state.get("folder") or "")


def _place_of(text: str) -> tuple["Chosen", str | None]:
    """As `_place`, of a typed path."""
    from viz.cached.images import Chosen, look_work, set_stamp

    place, split = split_of(text.strip())
    path = str(inside_roots(place, "images", DatasetError))
    if (work := look_work(path)) is not None:
        widgets.awaited(work, "Looking at the images")
    return Chosen(path, set_stamp(path)), split


def _splits(images: "ImageSet") -> list[str]:
    """What may be chosen of a set's source, that which was taken first; nothing where there is no choice."""
    others = [name for name in (*images.splits, ALL) if name != images.split]
    return [images.split, *others] if images.splits else []


def _understood(matched: Callable[["ImageSet"], "Matched"]) -> None:
    """What was understood of the visitor's own images before anything runs on them, and the choice of their split.

    What is wrong with them is said in small letters, since a page that needs no images does not say it.
    """
    if not (st.session_state.get("folder") or "").strip():
        return
    try:
        place, _ = _place()
        table_columns.choose(place, _opened)
        _choose_split()
        opened = images(whole=True)
        paths.remember(place.source)
        st.caption(widgets.told(opened.describe()))
        if opened.is_labelled:
            _say_matched(matched, opened)
        with st.expander("What was understood", icon=":material/info:"):
            _details(opened)
    except FeatureError as error:
        st.caption(f":material/error: {widgets.told(str(error))}")


def _say_matched(matched: Callable[["ImageSet"], "Matched"], images: "ImageSet") -> None:
    with suppress(FeatureError):  # of the network, which the page shows
        how = matched(images)
        st.caption(widgets.told(how.said), help=widgets.told(how.guessed) or None)


def _choose_split() -> None:
    place, split = _place()
    options = _splits(_opened(table_columns.heeded(place))) if split is None else []
    if not options:
        return
    if st.session_state.get(SPLIT) not in (None, *options):
        del st.session_state[SPLIT]  # of the images before these
    st.selectbox("Split", options, key=SPLIT, bind="query-params")


def _details(images: "ImageSet") -> None:
    from viz.cached.images import range_notes, thumbnails

    pictures = thumbnails(images.digest, images)
    if pictures:
        st.image(pictures, width=THUMBNAIL_WIDTH)
    if images.is_labelled:
        names = ", ".join(images.class_names[:NAMED]) + (", ..." if len(images.class_names) > NAMED else "")
        st.caption(widgets.escape(f"{'Classes' if images.labels is not None else 'Labels'}: {names}."))
    else:
        st.caption("No labels: these come from one folder per class, or from a list of the images or beside them.")
    for sentence in (*images.told(), *range_notes(images.digest, images)):
        st.caption(widgets.told(sentence))
