"""All that was noted, in a window: who did what, taking it back, to take away, and merging somebody else's."""

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from features.errors import FeatureError
from viz import widgets

if TYPE_CHECKING:
    from features.notes import Act, Conflict, Incoming, Merge
    from features.notes.tables import Format

SHOWN, SHOWN_CONFLICTS = 30, 100


@st.dialog("Notes of images", width="large", on_dismiss="rerun")
def show() -> None:
    """The history with undo and redo, exports, and the merge of another file."""
    from viz.cached.notes import book, current

    with widgets.show_errors():
        told, place = current(), str(book().path)
        tags = ", ".join(f"{tag} ({number:,})" for tag, number in told.tags.items())
        st.caption(
            f"{len(told):,} images in {widgets.escape(place)}, known by their content wherever they lie."
            + (f" Tags: {widgets.escape(tags)}." if tags else "")
        )
        history, away, merging = st.tabs(["History", "To take away", "Merge"])
        with history:
            _history()
        with away:
            _exports()
        with merging, widgets.show_errors():
            _merge()


def _history() -> None:
    from viz.cached.notes import book

    gone = book().undone()
    acts = book().acts(SHOWN)
    if not acts:
        st.caption("Nothing was noted yet.")
    for act in acts:
        with st.container(horizontal=True, vertical_alignment="center"):
            undone = act.uid in gone
            text = f"~~{widgets.escape(act.what)}~~" if undone else widgets.escape(act.what)
            st.markdown(f"{text}  \n:small[:gray[{act.at[:16].replace('T', ' ')} UTC, {widgets.escape(act.by)}]]")
            if act.kind == "do":
                _turn(act, undone)


def _turn(act: "Act", undone: bool) -> None:
    from viz.cached.notes import book

    word, icon = ("Redo", ":material/redo:") if undone else ("Undo", ":material/undo:")
    if st.button(word, icon=icon, type="tertiary", key=f"{word} {act.uid}", width="content"):
        try:
            book().redo(act.uid) if undone else book().undo(act.uid)
        except FeatureError as error:
            st.error(widgets.told(str(error)), icon=":material/error:")
        else:
            st.rerun(scope="fragment")


def _exports() -> None:
    from features.notes import FORMATS

    st.caption(
        "A row for each image: its digest, where it was seen, labels before and after, tags, note, who and when."
    )
    with st.container(horizontal=True):
        for format in FORMATS.values():
            st.download_button(
                f"Download as {format.title}",
                partial(_exported, format),
                file_name=f"notes{format.ending}",
                mime=format.mime,
                icon=":material/download:",
                on_click="ignore",
            )
    st.caption(
        "`python -m features notes export --format list SOURCE` writes a set with its corrected labels as a list that "
        "every command takes; `train` and `evaluate` also take `--corrections mine`."
    )


def _exported(format: "Format") -> str:
    from viz.cached.notes import current

    return format.write(current())


def _merge() -> None:
    """What somebody else noted: a file of notes or a table; what contradicts is chosen one by one."""
    from features.notes import merge
    from viz.cached.notes import book

    file = st.file_uploader("Somebody else's notes", type=["sqlite", "csv", "jsonl"], key="notes to merge")
    if file is None:
        st.caption(
            "A copy of their file of notes tells what both changed since they last were the same; a table does not."
        )
        return
    merged = merge(_incoming(file.name, file.getvalue()), book())
    st.caption(widgets.escape(merged.describe()))
    choices = _choices(merged)
    if len(choices) < len(merged.conflicts):
        st.info("Choose what becomes of each.", icon=":material/call_split:")
    elif st.button("Merge", type="primary", icon=":material/merge:"):
        _apply(merged, choices)


def _incoming(name: str, data: bytes) -> "Incoming":
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from features.notes import incoming
    from features.progress import finish
    from viz.cached.notes import book

    with TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(data)
        return finish(incoming(path, book()))


def _choices(merged: "Merge") -> dict[tuple[str, str], str]:
    """A choice for each conflict; those that are not made yet are absent."""
    choices: dict[tuple[str, str], str] = {}
    if not merged.conflicts:
        return choices
    every = st.segmented_control("All of them", ("mine", "theirs"), key="choice for all")
    for conflict in merged.conflicts[:SHOWN_CONFLICTS]:
        if (choice := every or _choice(conflict)) is not None:
            choices[conflict.key] = choice
    if len(merged.conflicts) > SHOWN_CONFLICTS:
        st.caption(f"The first {SHOWN_CONFLICTS} of {len(merged.conflicts):,}; a choice for all is of all.")
        choices |= {each.key: every for each in merged.conflicts[SHOWN_CONFLICTS:] if every}
    return choices


def _choice(conflict: "Conflict") -> str | None:
    values = {"mine": conflict.mine, "theirs": conflict.theirs, "both": "both"}
    return st.segmented_control(
        f"{widgets.escape(conflict.id)}: {conflict.field}",
        conflict.choices,
        format_func=lambda choice: f"{choice}: {values[choice] or 'nothing'}" if choice != "both" else choice,
        key=f"choice {conflict.digest} {conflict.field}",
    )


def _apply(merged: "Merge", choices: dict[tuple[str, str], str]) -> None:
    from features.notes import apply
    from viz.cached.notes import book

    act = apply(merged, book(), choices)
    st.session_state["what was noted"] = "Nothing changes." if act is None else f"Noted: {act.what}."
    st.rerun()
