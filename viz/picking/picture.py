"""Controls to choose one picture, from the set, a file or the camera."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image

from features import rasters
from features.datasets import ImageSet
from features.datasets import images as pictures
from features.errors import ImageError
from features.sources import EXTENSIONS
from viz import sidebar, widgets
from viz.cached.elsewhere import is_upload
from viz.cached.pictures import SHEET_COLUMNS, sheet_work, strip_rows
from viz.components import picture_picker

if TYPE_CHECKING:
    from features.notes import ImageNotes

SAMPLE, UPLOAD, CAMERA = "from the set", "upload", "camera"
NUMBER, ORIGIN = "image", "origin"  # in links
TALLEST = 360  # pixels on the screen


@dataclass(frozen=True, eq=False)
class Chosen:
    """A picture to look at: SHA-256 of its size and pixels, what it is called, and its label if it has one.

    durable: whether what is made of it may outlive the server, as of no upload. source: the set that it is of, and its
    number there; None for an upload.
    """

    picture: Image.Image
    digest: str
    name: str
    label: str | None
    durable: bool
    source: tuple[ImageSet, int] | None = None


def choose_image() -> Chosen:
    origin = st.segmented_control(
        "Image", (SAMPLE, UPLOAD, CAMERA), default=SAMPLE, key=ORIGIN, bind="query-params", required=True
    )
    if origin == SAMPLE:
        images = sidebar.images()
        chosen = from_set(images, f"Number, 0 to {len(images) - 1:,} ({widgets.escape(images.name)})", NUMBER)
    else:
        kinds = [extension[1:] for extension in EXTENSIONS]
        file = st.file_uploader("An image", type=kinds) if origin == UPLOAD else st.camera_input("A photograph")
        if file is not None:
            st.session_state[f"last {origin}"] = (file.name, file.getvalue())
        if f"last {origin}" not in st.session_state:
            st.info("The maps appear here as soon as there is an image.")
            st.stop()
        name, data = st.session_state[f"last {origin}"]  # outlives a visit to another page, as the control does not
        chosen = chosen_of(pictures.decode(data, name), name, None, durable=False)
    return chosen


def look_at(row: int) -> None:
    """Have `choose_image` show an image of the set, by its number, wherever that stands."""
    st.session_state[NUMBER] = row
    if st.session_state.get(ORIGIN) not in (None, SAMPLE):
        st.session_state[ORIGIN] = SAMPLE


def looked_at() -> int | None:
    """The number of the image that was chosen last, None for none."""
    return st.session_state.get(NUMBER)


def show_image(chosen: Chosen, key: str = "the picture") -> None:
    """A picture with its name, and what is noted of it. key: tells it from others on the page."""
    shown = np.asarray(chosen.picture)
    height, width = shown.shape[:2]
    st.image(
        rasters.magnify(shown, 160) if min(shown.shape[:2]) < 160 else shown,
        caption=widgets.escape(chosen.name + (f", label: {chosen.label}" if chosen.label else "")),
        # A tall picture would push all else off the screen.
        width="stretch" if height <= 1.25 * width else max(16, TALLEST * width // height),
    )
    if chosen.source is not None:
        sidebar.noting.of_image(*chosen.source, key)


def from_set(images: ImageSet, label: str, key: str) -> Chosen:
    """A picture of the set, by its number or among small pictures."""
    # A link to an image of a larger set must not break on a smaller one.
    if st.session_state.get(key, 0) >= len(images):
        st.session_state[key] = 0
    index = int(
        st.number_input(
            label, min_value=0, max_value=len(images) - 1, step=1, key=key, bind="query-params",
        )
    )  # fmt: skip
    _strip(images, index, key)
    try:
        picture = images.open(index)
    except ImageError as error:
        raise ImageError(f"{error} Choose another number.") from error
    chosen = chosen_of(picture, images.ids[index], images.label_name(index), durable=not is_upload(images))
    return replace(chosen, source=(images, index))


def chosen_of(picture: Image.Image, name: str, label: str | None, durable: bool) -> Chosen:
    digest = hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes()).hexdigest()
    return Chosen(picture, digest, name, label, durable)


def _strip(images: ImageSet, index: int, key: str) -> None:
    rows = strip_rows(len(images))
    sheet = widgets.awaited(sheet_work(images, rows), "Making small pictures")

    def pick(place: int) -> None:
        st.session_state[key] = rows[place]

    noted = sidebar.noted_images(images)
    known = {} if noted is None else noted.of
    picture_picker(
        sheet,
        SHEET_COLUMNS,
        [_title(images, row, known) for row in rows],
        rows.index(index) if index in rows else None,
        f"strip of {key}",
        pick,
    )


def _title(images: ImageSet, row: int, known: Mapping[int, "ImageNotes"]) -> str:
    """What a small picture says when it is pointed at: its label or its name, and what is noted of it."""
    title = images.label_name(row) or images.ids[row]
    return title + (sidebar.noting.in_brackets(known[row]) if row in known else "")
