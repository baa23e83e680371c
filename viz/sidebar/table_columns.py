"""The choice of a table's columns: which holds the paths of the images, and which their labels."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from features.errors import DatasetError

if TYPE_CHECKING:
    from features.datasets import ImageSet, TableColumns
    from viz.cached.images import Chosen

PATH, LABELS = "path_column", "label_columns"
KNOWN = "columns of the table"  # of the source that is chosen: (source, stamp), and what they are where none is named


def choose(place: "Chosen", opened: Callable[["Chosen"], "ImageSet"]) -> None:
    """Controls with the columns of the table that tells the images, those preselected that are taken otherwise.

    opened: a source -> its set. Where that cannot be opened without a choice, this can be made too.
    """
    table = _table(place, opened)
    if table is None:
        return
    with st.popover("Columns", icon=":material/table:"):
        if table.path is not None:
            _path(table)
        _need_known(LABELS, table, lambda values: set(values) <= set(table.names))
        st.multiselect(
            "Labels",
            table.names,
            default=table.labels,
            key=LABELS,
            bind="query-params",
            placeholder="by their names and contents",
            help="One column of labels, or several of 0 and 1 that are called as the labels.",
        )


def _path(table: "TableColumns") -> None:
    _need_known(PATH, table, lambda value: value in table.names)
    st.selectbox(
        "Paths of the images",
        table.names,
        index=table.names.index(table.path) if table.path else None,
        key=PATH,
        bind="query-params",
        placeholder="by their names and contents",
    )


def _need_known(key: str, table: "TableColumns", fits: Callable) -> None:
    """Forget what was chosen of another table's columns."""
    if st.session_state.get(key) and not fits(st.session_state[key]):
        del st.session_state[key]


def heeded(place: "Chosen") -> "Chosen":
    """A source with the columns that were chosen, where these are others than are taken anyway."""
    from features.datasets import Columns

    known, table = st.session_state.get(KNOWN, (None, None))
    if table is None or known != (place.source, place.stamp):
        return place
    path, labels = st.session_state.get(PATH) or "", tuple(st.session_state.get(LABELS) or ())
    path = "" if path == table.path or path not in table.names or table.path is None else path
    labels = () if set(labels) == set(table.labels) or not set(labels) <= set(table.names) else labels
    return replace(place, columns=Columns.of(path, labels))


def _table(place: "Chosen", opened: Callable[["Chosen"], "ImageSet"]) -> "TableColumns | None":
    """The columns of a source's table, None where it has none. They are found out once."""
    from features.datasets import TableColumns

    key = place.source, place.stamp
    known, table = st.session_state.get(KNOWN, (None, None))
    if known == key:
        return table
    try:
        table = opened(place).table
    except DatasetError as error:
        table = TableColumns(error.columns) if error.columns else None
    if known is not None and known[0] != place.source:
        for chosen in (PATH, LABELS):  # of the images before these
            st.session_state.pop(chosen, None)
    st.session_state[KNOWN] = key, table
    return table
