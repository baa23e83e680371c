"""The page of workspaces: what they hold, on to their views, what is missing, to hand over and to take in."""

from dataclasses import replace
from pathlib import Path

import streamlit as st

from features.errors import FeatureError
from features.progress import finish
from features.workspace import (
    CHANGED,
    MISSING,
    SOURCE,
    WEIGHTS,
    Problem,
    Shelf,
    View,
    Workspace,
    WorkspaceError,
    kept_selections,
    with_images,
    with_weights,
)
from viz import sidebar, widgets
from viz.cached import server
from viz.cached.workspace import notebook_of, package_of, packed_now, problems_work, report_work
from viz.reports.workspace import exhibits_of

CHOSEN, ASKED, SAID = "workspace", "asked for what is missing", "what was done to workspaces"


def render() -> None:
    """The workspaces of this machine, one of them in full."""
    st.title("Workspaces")
    if (said := st.session_state.pop(SAID, None)) is not None:
        st.toast(widgets.told(said), icon=":material/inventory_2:")
    with widgets.show_errors():
        shelf = Shelf()
        known = shelf.all()
        for damaged in shelf.damaged():
            st.warning(widgets.told(damaged), icon=":material/broken_image:")
        if known:
            _chosen(shelf, known)
        else:
            st.caption("There are none yet. “Keep this view” at the side of any page puts its view into one.")
        st.divider()
        with st.expander("Take one in", icon=":material/upload:"), widgets.show_errors():
            _take_in(shelf)
        _deleted(shelf)


def _chosen(shelf: Shelf, known: list[Workspace]) -> None:
    names = [each.name for each in known]
    if st.session_state.get(CHOSEN) not in (None, *names):
        del st.session_state[CHOSEN]  # it was deleted, or is called otherwise now
    about = {each.name: f"{each.name} ({_count(len(each.views))}, {each.saved[:10]})" for each in known}
    name = st.selectbox("Workspace", names, key=CHOSEN, bind="query-params", format_func=lambda each: about[each])
    workspace = known[names.index(name)]
    st.caption(widgets.escape(f"{workspace.describe()}. Saved {workspace.saved[:16]} UTC by {workspace.by}."))
    told = widgets.arriving(problems_work(workspace, st.session_state.get(ASKED, 0)), "Looking whether all is there")
    with widgets.show_errors():
        for problem in told or ():
            _problem(shelf, workspace, problem)
    kept_selections(workspace)  # where the links of its views look for them
    for view in workspace.views:
        _view(shelf, workspace, view)
    _note(shelf, workspace)
    _actions(shelf, workspace, sound=not told)


def _say(text: str) -> None:
    st.session_state[SAID] = text
    st.rerun()


def _problem(shelf: Shelf, workspace: Workspace, problem: Problem) -> None:
    """What is not as it was, and the way out."""
    st.warning(widgets.told(problem.said), icon=":material/link_off:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        where = st.text_input(
            "The weights are at" if problem.of == WEIGHTS else "The images are at", key=f"{problem.of} {workspace.uid}"
        )
        if where.strip() and st.button("Use these", key=f"use {problem.of}"):
            shelf.save(_moved(workspace, problem.of, where))
            _say(f"{workspace.name} is about {where.strip()} now.")
        if problem.of == SOURCE and problem.kind == CHANGED and st.button("Take them as they are now"):
            moved = finish(with_images(workspace))
            shelf.save(moved.workspace)
            _say(moved.describe() or f"{workspace.name} is about the images as they are now.")
        if st.button("Look again", key=f"again {problem.of}", icon=":material/refresh:", type="tertiary"):
            st.session_state[ASKED] = st.session_state.get(ASKED, 0) + 1
            st.rerun()


def _moved(workspace: Workspace, of: str, where: str) -> Workspace:
    if of == WEIGHTS:
        return with_weights(workspace, sidebar.inside_roots(where, "weights", WorkspaceError))
    path = where.strip() if where.strip() == "sample" else str(sidebar.inside_roots(where, "images", WorkspaceError))
    return finish(with_images(workspace, path)).workspace


def _view(shelf: Shelf, workspace: Workspace, view: View) -> None:
    with st.container(border=True), st.container(horizontal=True, vertical_alignment="center"):
        figures = ", ".join(each.title for each in exhibits_of(view))
        about = [widgets.escape(view.caption)] if view.caption else []
        about.append(f":small[:gray[{widgets.escape(_told(view, figures))}]]")
        title = f"[{widgets.escape(view.title)}](.{view.link})"
        st.markdown(f"**{title}**  \n" + "  \n".join(about), width="stretch")
        if st.button("", icon=":material/close:", key=f"drop {view.title}", type="tertiary", help="Leave it out."):
            shelf.save(replace(workspace, views=[each for each in workspace.views if each.title != view.title]))
            _say(f"{view.title} was left out.")


def _told(view: View, figures: str) -> str:
    """What a view is of, in a line."""
    parts = [view.page, *([view.network.name] if view.network else []), *([view.selection] if view.selection else [])]
    parts += ["with corrected labels"] if view.corrected else []
    return f"{', '.join(parts)}. In the report: {figures or 'its address alone'}."


def _note(shelf: Shelf, workspace: Workspace) -> None:
    note = st.text_area("Note", workspace.note, key=f"note {workspace.uid} {workspace.saved}", height=80)
    if note.strip() != workspace.note and st.button("Save the note", icon=":material/save:"):
        shelf.save(replace(workspace, note=note.strip()))
        _say("The note is saved.")


def _actions(shelf: Shelf, workspace: Workspace, sound: bool) -> None:
    with st.container(horizontal=True):
        with st.popover("Rename", icon=":material/edit:"):
            new = st.text_input("Name", workspace.name, key=f"name {workspace.uid}")
            if new.strip() not in ("", workspace.name) and st.button("Call it so"):
                shelf.rename(workspace.name, new)
                _say(f"{workspace.name} is called {new.strip()} now.")
        if st.button("Delete", icon=":material/delete:", help="It can be had back below."):
            shelf.delete(workspace.name)
            _say(f"{workspace.name} was deleted. Below it can be had back.")
        st.download_button(
            "Notebook", lambda: notebook_of(workspace), file_name=f"{_file_name(workspace)}.ipynb",
            mime="application/x-ipynb+json", icon=":material/code:", on_click="ignore",
            help="Makes the same figures with the public API.",
        )  # fmt: skip
        if sound:
            st.download_button(
                "Zip", lambda: packed_now(workspace), file_name=f"{_file_name(workspace)}.zip",
                mime="application/zip", icon=":material/folder_zip:", on_click="ignore",
                help="For another machine: its images are known there by what they are. Neither weights nor images are "
                "in it.",
            )  # fmt: skip
    if sound and workspace.views:
        _report(workspace)


def _report(workspace: Workspace) -> None:
    work = report_work(workspace)
    if not server.jobs().has_result(work) and not widgets.start(work, "Make the report"):
        return
    made = widgets.arriving(work, "Making the report")
    if made is not None:
        st.download_button(
            "Download the report", made, file_name=f"{_file_name(workspace)}.html", mime="text/html",
            icon=":material/article:", on_click="ignore", help="The figures of its views as one file.",
        )  # fmt: skip


def _take_in(shelf: Shelf) -> None:
    """Somebody else's, whose paths are asked for where they are others here."""
    file = st.file_uploader("A workspace that was exported", type=["zip"], key="workspace to take in")
    if file is None:
        return
    package = package_of(file.name, file.getvalue())
    workspace = package.workspace
    st.markdown(f"**{widgets.escape(workspace.name)}**: {widgets.escape(workspace.describe())}")
    name = st.text_input("Called here", workspace.name, key="name here")
    told = widgets.awaited(problems_work(workspace, st.session_state.get(ASKED, 0)), "Looking whether all is there")
    where = {}
    for problem in told:
        st.caption(f":material/link_off: {widgets.told(problem.said)}")
        if problem.kind == MISSING:
            label = "The weights are at" if problem.of == WEIGHTS else "The images are at"
            where[problem.of] = st.text_input(label, key=f"{problem.of} here")
    if package.notes:
        st.download_button(
            "Its notes", package.notes, file_name="notes.jsonl", icon=":material/sell:", on_click="ignore",
            help="Tags and corrected labels of its images: merge them under “Notes” at the side.",
        )  # fmt: skip
    ready = all(path.strip() for path in where.values()) and name.strip()
    if st.button("Take it in", type="primary", disabled=not ready):
        workspace = replace(workspace, name=name.strip(), uid="")
        for of in sorted(where, key=lambda of: of == SOURCE):
            workspace = _moved(workspace, of, where[of])
        moved = finish(with_images(workspace))
        saved = shelf.save(moved.workspace)
        _say(f"{saved.name} is here. {moved.describe()}".strip())


def _deleted(shelf: Shelf) -> None:
    for workspace in shelf.deleted()[:3]:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Deleted: {widgets.escape(workspace.name)}", width="content")
            if st.button("Have it back", key=f"restore {workspace.uid}", icon=":material/undo:", type="tertiary"):
                try:
                    shelf.restore(workspace.name)
                except FeatureError as error:
                    st.error(widgets.told(str(error)))
                else:
                    _say(f"{workspace.name} is back.")


def _file_name(workspace: Workspace) -> str:
    return Path("".join(sign if sign.isalnum() else "-" for sign in workspace.name)).name.strip("-") or "workspace"


def _count(views: int) -> str:
    return f"{views:,} view{'' if views == 1 else 's'}"
