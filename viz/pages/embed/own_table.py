"""A table of the visitor's own, whose rows name the images: further colours and filters."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from features.datasets import ImageSet
from features.datasets.lists.joining import ENDINGS, joined
from features.errors import FeatureError
from features.notes import NotedImages
from viz import sidebar, widgets
from viz.cached.made import made


@dataclass(frozen=True, eq=False)
class OwnTable:
    """columns: name -> (N,) of all images of the set, in their order. rows: how many of them some row names."""

    columns: Mapping[str, np.ndarray]
    rows: int = 0


NO_TABLE = OwnTable({})


@dataclass(frozen=True)
class _File:
    """A file, told from others by its name and content."""

    name: str
    digest: str
    data: bytes = field(compare=False, repr=False)


def choose(images: ImageSet) -> OwnTable:
    """What an uploaded table says of the images; nothing where there is none, or it is refused, which is told."""
    file = st.file_uploader(
        "A table of mine", type=[ending[1:] for ending in ENDINGS], key="own table",
        help="CSV, JSON or Parquet with a column of the images' ids or file names. Its other columns can be colours "
        "and filters, for as long as this tab is open.",
    )  # fmt: skip
    if file is None:
        return NO_TABLE
    data = file.getvalue()
    try:
        table = made(_joined, images, _File(file.name, hashlib.sha256(data).hexdigest(), data))
    except FeatureError as error:
        st.error(widgets.told(str(error)))
        return NO_TABLE
    names = ", ".join(map(widgets.escape, table.columns))
    st.caption(f"It names {table.rows:,} of {len(images):,} images. Colour and filter by {names}.")
    return table


def with_notes(own: OwnTable, images: ImageSet) -> OwnTable:
    """The same with what is noted of the images: tags, corrected labels and notes as further columns."""
    noted = sidebar.noted_images(images)
    return own if noted is None or not len(noted) else made(_with_notes, own, noted, tuple(images.columns))


def _with_notes(own: OwnTable, noted: NotedImages, taken: tuple[str, ...]) -> OwnTable:
    known = {*taken, *own.columns}
    columns = {name if name not in known else f"{name} (noted)": each for name, each in noted.columns().items()}
    return OwnTable({**own.columns, **columns}, own.rows)


def _joined(images: ImageSet, file: _File) -> OwnTable:
    columns, rows = joined(images.ids, file.data, file.name)
    taken = {*images.columns}
    return OwnTable({name if name not in taken else f"{name} (mine)": each for name, each in columns.items()}, rows)
