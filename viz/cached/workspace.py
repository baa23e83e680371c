"""What is made of workspaces: whether they still stand, their reports, and what others have exported."""

from pathlib import Path

import streamlit as st

from features import devices, files
from features.networks import naming, zoo
from features.notes import Book
from features.progress import Progress, Task, finish
from features.workspace import Package, Problem, Workspace, packed, problems, unpacked
from viz.cached.server import uploads
from viz.jobs import LONG, PREVIEW, SHORT, Work
from viz.reports.workspace import notebook, report

MANY = 3  # views whose report is asked for by a button, since it may take minutes


def may_be_read(path: str) -> bool:
    """Whether a workspace may lead to a path: it may be somebody else's."""
    return files.may_be_read(path) or ("://" not in path and Path(path).is_relative_to(uploads()))


def problems_work(workspace: Workspace, asked: int) -> Work:
    """What a workspace names and is not as it was. asked: how often the visitor has asked."""

    def run() -> Task[list[Problem]]:
        yield Progress(0, 1, "workspace")
        return problems(workspace, may_be_read)

    return Work(f"standing {workspace.uid} {workspace.saved} {hash(repr(workspace))} {asked}", run, PREVIEW)


def report_work(workspace: Workspace) -> Work:
    """The report as a file's bytes."""

    def run() -> Task[bytes]:
        images = workspace.images.open()
        return (yield from report(workspace, images, _load, Book(files.notes_file())))

    key = f"workspace report {workspace.uid} {workspace.saved} {Book(files.notes_file()).version()}"
    return Work(key, run, LONG if len(workspace.views) > MANY else SHORT, lasting=True)


def _load(name: str) -> zoo.Model:
    loaded = zoo.load(naming.parse(name))
    loaded.network.to(devices.best_device())
    return loaded


def packed_now(workspace: Workspace) -> bytes:
    """The workspace as a zip. Raises FeatureError if its images cannot be read."""
    return finish(packed(workspace, Book(files.notes_file())))


def notebook_of(workspace: Workspace) -> bytes:
    return notebook(workspace).encode()


@st.cache_data(max_entries=4, show_spinner=False)
def package_of(name: str, data: bytes) -> Package:
    """What an uploaded zip holds. Raises WorkspaceError if it is none."""
    return unpacked(data, name)
