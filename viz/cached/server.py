"""What the server has once for all visitors: their jobs and a folder for uploads; and who they are."""

import atexit
import tempfile
from pathlib import Path

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from viz.jobs import Job, Jobs, Work, processes


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """The queues of this server. What an earlier one left running in processes, or waiting for one, is taken over."""
    made = Jobs(present=_is_connected)
    for work in processes.left_by_others():
        made.adopt(work)
    return made


def ask(work: Work) -> Job:
    """The share of the visitor whose page this is in the run of some work, which is started if there is none."""
    return jobs().ask(visitor(), work)


def visitor() -> str:
    """Whose page this is: every tab is a visitor, and one that is loaded anew is another."""
    context = get_script_run_ctx()
    return context.session_id if context is not None else ""


def _is_connected(session: str) -> bool:
    return not runtime.exists() or runtime.get_instance().is_active_session(session)


@st.cache_resource(show_spinner=False)
def uploads() -> Path:
    """Where uploads lie while the server runs."""
    folder = tempfile.TemporaryDirectory(prefix="resnet-explorer-")
    atexit.register(folder.cleanup)
    return Path(folder.name).resolve()
