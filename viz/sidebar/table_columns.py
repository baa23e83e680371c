"""The choice of a table's columns: which holds the paths of the images, and which their labels."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from features.errors import DatasetError
from viz import fields

if TYPE_CHECKING:
    from features.datasets import ImageSet, TableColumns
    from viz.cached.images import Chosen

PATH, LABELS = "path_column", "label_columns"
KNOWN = "columns of the table"  # the source and stamp that were looked at last, and the columns that it has
GUESSED = "by names and contents"


def choose(place: "Chosen", opened: Callable[["Chosen"], "ImageSet"]) -> None:
    """Controls with the columns of the table that tells the images, those preselected that are taken otherwise.

    opened: a source -> its set. Where that cannot be opened without a choice, this can be made too.
    """
    before, _ = st.session_state.get(KNOWN, (None, None))
    table = _table(place, opened)
    if table is None:
        return
    if before is not None:  # a link, of which there is none before, says what is chosen
        _keep_what_fits(table, before[0] == place.source)
    with st.popover("Columns", icon=":material/table:"):
        if table.path is not None:
            st.selectbox(
                fields.PATH_COLUMN,
                table.names,
                index=table.names.index(table.path) if table.path else None,
                key=PATH,
                bind="query-params",
                placeholder=GUESSED,
            )
        st.multiselect(
            fields.LABEL_COLUMNS,
            table.names,
            default=table.labels,
            key=LABELS,
            bind="query-params",
            placeholder=GUESSED,
            help="One column of labels, or several of 0 and 1 that are called as the labels.",
        )


def _keep_what_fits(table: "TableColumns", same: bool) -> None:
    """Go back to what is taken otherwise, where what was chosen is of another table. same: whether the source is the
    one that it was chosen of.
    """
    path, labels = st.session_state.get(PATH), st.session_state.get(LABELS) or ()
    if path is not None and not (same and path in table.names):
        st.session_state[PATH] = table.path or None
    if labels and not (same and set(labels) <= set(table.names)):
        st.session_state[LABELS] = list(table.labels)


def heeded(place: "Chosen") -> "Chosen":
    """A source with the columns that were chosen, where these are others than are taken anyway."""
    from features.datasets import Columns

    known, table = st.session_state.get(KNOWN, (None, None))
    if table is None or known != (place.source, place.stamp):
        return place
    path, labels = st.session_state.get(PATH) or "", tuple(st.session_state.get(LABELS) or ())
    path = path if path in table.names and table.path not in (None, path) else ""
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
    st.session_state[KNOWN] = key, table
    return table
