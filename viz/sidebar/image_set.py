"""The choice of the images."""

from contextlib import suppress
from typing import TYPE_CHECKING

import streamlit as st

from features.errors import DatasetError, FeatureError
from features.sources import ALL, ARCHIVES, EXTENSIONS, LISTS, SAMPLE, TABLES, split_of
from viz import widgets
from viz.sidebar import paths
from viz.sidebar import selected as of_selection
from viz.sidebar.own_files import inside_roots, keep_to_roots, keep_upload

if TYPE_CHECKING:
    from features.datasets import ImageSet

FOLDER = "a folder or zip of mine"
SPLIT, OFFERED = "split", "offered paths"
NAMED, THUMBNAIL_WIDTH = 12, 56
UPLOADS = [*dict.fromkeys(ending.rpartition(".")[2] for ending in (*ARCHIVES, *TABLES, *LISTS, *EXTENSIONS))]
IMAGE_LIMITS = (100, 300, 1000, 3000, 10_000)


def choose() -> None:
    st.selectbox("Images", (SAMPLE, FOLDER), key="images", bind="query-params")
    if st.session_state["images"] == FOLDER:
        st.text_input(
            "Path of the folder, archive or list",
            key="folder",
            bind="query-params",
            placeholder="~/pictures",
            help="On the machine that runs the app: flat, a folder per class, or with folders for splits; a zip or "
            "tar, Parquet files, a list of paths (text, CSV, JSON Lines), COCO's JSON, or a pattern such as "
            "data/test-*.parquet.",
        )
        _offer()
        keep_upload(
            "or upload images, with a list of labels or without, archives or Parquet files",
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
        _understood()
    st.select_slider(
        "At most",
        IMAGE_LIMITS,
        value=1000,
        format_func=lambda number: f"{number:,} images",
        key="limit",
        bind="query-params",
        help="A balanced sample is taken from larger sets.",
    )
    if of_selection.STATE in st.session_state or of_selection.STATE in st.query_params:
        with suppress(FeatureError):  # which the page shows
            of_selection.show(images(selected=False))


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


def images(whole: bool = False, selected: bool = True) -> "ImageSet":
    """The image set chosen in the sidebar, cut to the chosen number or whole.

    selected: whether those alone that are selected, if the visitor wants pages to be about these. Raises FeatureError
    if it cannot be opened.
    """
    from viz.cached.images import sampled  # numpy, Pillow and pyarrow with it

    source, stamp = (SAMPLE, "") if st.session_state["images"] == SAMPLE else _chosen()
    opened = _opened(source, stamp)
    if whole:
        return opened
    taken = sampled(source, st.session_state["limit"], stamp, opened)
    return of_selection.narrowed(taken) if selected else taken


def others(text: str) -> "ImageSet":
    """The image set of a path that a visitor typed on a page, or of SAMPLE, cut to the number chosen in the sidebar.

    Raises FeatureError if it cannot be opened.
    """
    from viz.cached.images import sampled

    source, stamp = SAMPLE, ""
    if text != SAMPLE:
        place, split, stamp = _place_of(text)
        source = place if split is None else f"{place}:{split}"
    return sampled(source, st.session_state["limit"], stamp, _opened(source, stamp))


def _chosen() -> tuple[str, str]:
    """The source of the visitor's own images, with the split that was chosen, and what changes when it does."""
    place, split, stamp = _place()
    chosen = st.session_state.get(SPLIT)
    if split is None and chosen is not None and chosen in _splits(_opened(place, stamp)):
        split = chosen
    return (place if split is None else f"{place}:{split}"), stamp


def _opened(source: str, stamp: str) -> "ImageSet":
    """A whole set. While it is opened, the page shows how far that is, and stops here."""
    from viz.cached.images import sets

    held = sets().get(source, stamp)
    return held if held is not None else widgets.awaited(sets().work(source, stamp), "Opening the images")


def source() -> str:
    """Where the images of the sidebar come from, as `datasets.open_images` knows it."""
    chosen = st.session_state["images"]
    return chosen if chosen == SAMPLE else st.session_state.get("folder") or ""


def _place() -> tuple[str, str | None, str]:
    """Where the visitor's own images lie, the split that is named there, and what changes when they do."""
    return _place_of(st.session_state.get("folder") or "")


def _place_of(text: str) -> tuple[str, str | None, str]:
    """As `_place`, of a typed path."""
    from viz.cached.images import look_work, set_stamp

    place, split = split_of(text.strip())
    path = str(inside_roots(place, "images", DatasetError))
    if (work := look_work(path)) is not None:
        widgets.awaited(work, "Looking at the images")
    return path, split, set_stamp(path)


def _splits(found: "ImageSet") -> list[str]:
    """What may be chosen of a set's source, that which was taken first; nothing where there is no choice."""
    others = [name for name in (*found.splits, ALL) if name != found.split]
    return [found.split, *others] if found.splits else []


def _understood() -> None:
    """What was understood of the visitor's own images before anything runs on them, and the choice of their split.

    What is wrong with them is for the page to say.
    """
    if not (st.session_state.get("folder") or "").strip():
        return
    with suppress(FeatureError):
        _choose_split()
        found = images(whole=True)
        paths.remember(_place()[0])
        st.caption(widgets.escape(found.describe()))
        with st.expander("What was understood", icon=":material/info:"):
            _details(found)


def _choose_split() -> None:
    place, split, stamp = _place()
    options = _splits(_opened(place, stamp)) if split is None else []
    if not options:
        return
    if st.session_state.get(SPLIT) not in (None, *options):
        del st.session_state[SPLIT]  # of the images before these
    st.selectbox("Split", options, key=SPLIT, bind="query-params")


def _details(found: "ImageSet") -> None:
    from viz.cached.images import range_notes, thumbnails

    pictures = thumbnails(found.digest, found)
    if pictures:
        st.image(pictures, width=THUMBNAIL_WIDTH)
    if found.is_labelled:
        names = ", ".join(found.class_names[:NAMED]) + (", ..." if len(found.class_names) > NAMED else "")
        st.caption(widgets.escape(f"{'Classes' if found.labels is not None else 'Labels'}: {names}."))
    else:
        st.caption("No labels: these come from one folder per class, or from a list of the images or beside them.")
    for sentence in (*found.told(), *range_notes(found.digest, found)):
        st.caption(widgets.escape(sentence))
