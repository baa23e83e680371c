"""What pages are made of: figures, tables to take away, errors, and the wait for a job."""

import html
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, NoReturn

import plotly.graph_objects as go
import streamlit as st

from features.errors import FeatureError
from viz import theme
from viz.cached import server
from viz.fields import as_fields
from viz.jobs import LONG, Interrupted, Job, State, Work, kept, standing

if TYPE_CHECKING:  # the first page waits for none of them
    import pandas as pd

    from features.datasets import Rejected

GRACE = 0.4
CAMERA, STARTED = "camera", "started"


def chart(figure: go.Figure, key: str, **options: Any) -> Any:
    """Draw a figure in the app's light or dark colours; what `on_select` reports comes back."""
    camera = {"format": st.session_state.get(CAMERA, "svg"), "scale": 2, "filename": _file_name(key)}
    config = {"displaylogo": False, "scrollZoom": "on_select" in options, "toImageButtonOptions": camera}
    return st.plotly_chart(theme.ink(figure, st.context.theme.type == "dark"), key=key, config=config, **options)


def exhibit(title: str, figure: go.Figure, caption: str, source: str) -> None:
    """A figure as it would stand in a paper: its title, how to read it, where it is from, and itself to take away."""
    st.subheader(escape(title))
    chart(figure, title)
    with st.container(horizontal=True, vertical_alignment="top"):
        st.caption(f"{caption} Source: {source}.", width="stretch")
        st.download_button(
            "HTML",
            lambda: _page(title, figure, f"{caption} Source: {source}."),
            file_name=f"{_file_name(title)}.html",
            mime="text/html",
            icon=":material/download:",
            on_click="ignore",
            type="tertiary",
            key=f"html {title}",
            width="content",
            help="An interactive page that needs no network; its camera takes pictures as SVG.",
        )


def _page(title: str, figure: go.Figure, caption: str) -> str:
    """A figure with its title and caption as a page of its own, light whatever the app's colours."""
    drawn = theme.ink(go.Figure(figure), dark=False)
    camera = {"format": "svg", "filename": _file_name(title)}
    chart = drawn.to_html(full_html=False, include_plotlyjs=True, config={"toImageButtonOptions": camera})
    style = "body { font: 15px sans-serif; max-width: 1100px; margin: 2em auto }"
    text = re.sub(r"\[([^\]]*)\]\(([^)]*)\)", r'<a href="\2">\1</a>', html.escape(caption, quote=False))
    return (
        f"<!doctype html><meta charset='utf-8'><title>{html.escape(title)}</title><style>{style}</style>"
        f"<h2>{html.escape(title)}</h2>{chart}<p>{text}</p>"
    )


def _flat(table: "pd.DataFrame") -> "pd.DataFrame":
    """The columns that CSV can hold: lists of numbers are left to Parquet."""
    import numpy as np

    return table[[name for name in table if not table[name].map(lambda value: isinstance(value, np.ndarray)).any()]]


def _file_name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def camera() -> None:
    """What the camera above every figure takes."""
    st.segmented_control("The camera above a figure takes", ("svg", "png"), default="svg", key=CAMERA, required=True)


def downloads(table: "pd.DataFrame", name: str) -> None:
    """A table to take away, as CSV or Parquet."""
    with st.container(horizontal=True):
        for kind, mime, content in (
            ("CSV", "text/csv", lambda: _flat(table).to_csv(index=False)),
            ("Parquet", "application/vnd.apache.parquet", lambda: table.to_parquet(index=False)),
        ):
            st.download_button(
                f"Download as {kind}",
                content,
                file_name=f"{name}.{kind.lower()}",
                mime=mime,
                icon=":material/download:",
                on_click="ignore",
                key=f"{kind} {name}",
            )


def report_download(name: str, make: Callable[[], bytes]) -> None:
    """All of a page as one file to take away, which is made when somebody wants it."""
    st.download_button(
        "Download the report",
        make,
        file_name=f"{name}.html",
        mime="text/html",
        icon=":material/article:",
        on_click="ignore",
        key=f"report {name}",
        help="All of this page as one file that needs no network and prints to A4.",
    )


@contextmanager
def show_errors() -> Iterator[None]:
    """Show a FeatureError on the page in place of what it prevented; what was drawn before stays."""
    try:
        yield
    except FeatureError as error:
        st.error(told(str(error)), icon=":material/error:")


def result(job: Job, what: str) -> Any:
    """A job's result. While it is not there, the page shows how far it is, with a cancel button, and stops
    here.
    """
    if job.run is None:
        _offer(job, f"{what}: cancelled by you.{_resumed(job.work)}")
    run = job.run
    if not run.wait(GRACE):
        _watch(job.work.key, job, what)
        st.stop()
    if run.stopped:  # by others, in the moment before this visitor asked
        st.rerun()
    if isinstance(run.error, Interrupted):
        _offer(job, f"{what}: {told(str(run.error))}{_resumed(job.work)}", ":material/pause_circle:")
    if isinstance(run.error, FeatureError):
        job.again()
        _started().discard(job.work.key)  # a long run is not to be tried again at every touch of the page
        raise copy(run.error)  # other visitors are told by the same one, at the same time
    if run.error is not None:
        st.error(
            f"{what} failed in a way that was not foreseen ({type(run.error).__name__}). The log of the server has "
            "the details. Try again, or choose other images or another network.",
            icon=":material/error:",
        )
        _again(job, "Try again")
        st.stop()
    return run.result


def awaited(work: Work, what: str) -> Any:
    """The result of work. The page stops here while it is not there; long work begins when somebody asks for it."""
    if not wanted(work, what):
        st.stop()
    return result(server.ask(work), what)


def arriving(work: Work, what: str) -> Any:
    """The result of work, or None while it is not there: then a line tells how far it is, and the page goes on below.

    The page runs anew when it has come. Work that failed or was cancelled says so and gives None as well.
    """
    if not wanted(work, what):
        return None
    job = server.ask(work)
    run = job.run
    if run is not None and not run.wait(GRACE / 4):
        _watch(work.key, job, what)
        return None
    if run is not None and run.error is None and not run.stopped:
        return run.result
    st.caption(f"{what}: {'cancelled by you' if run is None or run.error is None else told(str(run.error))}")
    _again(job, "Try again")
    return None


def wanted(work: Work, what: str) -> bool:
    """Whether work may begin: at once if it takes a moment, if it is long when a button is pressed that this draws."""
    return work.kind != LONG or kept(work.key) or start(work, "Start", f"{what} takes minutes or more here.")


def start(work: Work, label: str, why: str = "") -> bool:
    """Whether work was asked for: in this session, or anybody's waits, runs or is done. Otherwise a button does so.

    Where an earlier run ended before it was done, the page says how, and going on with it is offered. why: a button
    must be pressed.
    """
    if work.key in _started() or server.jobs().knows(work):
        return True
    earlier = standing(work.key)
    if earlier is not None and earlier.status == "running":
        return True
    if earlier is not None and earlier.status in ("stopped", "failed"):
        st.warning(_ended(earlier) + _resumed(work), icon=":material/pause_circle:")
        label = _again_label(work) if earlier.status == "stopped" else "Try again"
    elif why:
        st.caption(f"{why} It goes on when this tab is closed, and is found again.")
    if st.button(label, type="primary", icon=":material/play_arrow:", key=f"start {work.key}"):
        server.jobs().again(server.visitor(), work)  # how it ended was just told, or it was this visitor's cancel
        _started().add(work.key)
        st.rerun()
    return False


def _started() -> set[str]:
    """The keys of the work that was asked for in this session."""
    return st.session_state.setdefault(STARTED, set())


def _ended(state: State) -> str:
    """How work ended that was not finished, in words."""
    done = state.progress
    how_far = f" after {done.done:,} of {done.total:,} {_plural(done.unit)}" if done is not None else ""
    if state.status == "stopped":
        return f"An earlier run of this was stopped{how_far}."
    reason = told(state.error) if state.foreseen else f"in a way that was not foreseen ({state.error})."
    return f"An earlier run of this failed{how_far}: {reason}"


def _resumed(work: Work) -> str:
    """What becomes of what a stopped run has done, as a sentence to add."""
    return " What it has written stays, and it goes on from there." if work.resumes else ""


def _again_label(work: Work) -> str:
    return "Go on" if work.resumes else "Start again"


def _offer(job: Job, text: str, icon: str = ":material/cancel:") -> NoReturn:
    st.info(text, icon=icon)
    _again(job, _again_label(job.work))
    st.stop()


def _again(job: Job, label: str) -> None:
    if st.button(label, key=f"again {job.work.key}"):
        job.again()
        st.rerun()


@st.fragment(run_every=1)
def _watch(key: str, _job: Job, what: str) -> None:
    job = _job.renewed()
    run = job.run
    if run is None or run.ended:
        st.rerun()
    done, text = _standing(job)
    st.progress(done, f"{what}: {text}")
    others = job.others
    stays = f" {others} other visitors wait for the same, and for them it goes on." if others else ""
    if st.button("Cancel", key=f"cancel {key}", icon=":material/cancel:", help=f"Ends your waiting.{stays}"):
        job.cancel()
        st.rerun()


def _standing(job: Job) -> tuple[float, str]:
    """How much of a job is done, from 0 to 1, and how far it is in words."""
    run, place = job.run, job.place
    assert run is not None
    progress = run.progress
    if place.number > 1:
        text = f"place {place.number} of {place.length} in the queue"
        if place.seconds is not None:
            text += f", {'about' if place.exact else 'at least'} {theme.seconds(place.seconds)} until it starts"
        return 0.0, text
    if progress is None:
        return 0.0, "starting …"
    parts = [f"{progress.done:,} of {progress.total:,} {_plural(progress.unit)}"] if progress.total else []
    parts += [progress.note] if progress.note else []
    if run.pace is not None and run.seconds_left is not None:
        parts += [f"{run.pace:,.3g} {_plural(progress.unit)}/s", f"about {theme.seconds(run.seconds_left)} left"]
    return min(1.0, progress.done / max(1, progress.total)), ", ".join(parts)


def _plural(unit: str) -> str:
    return unit if unit.isupper() else f"{unit}s"  # 'MB' has no plural


def rejected(images: Sequence["Rejected"]) -> None:
    """Say how many images could not be read, and why the first could not."""
    if images:
        st.warning(f"{len(images)} images could not be read, the first: {told(images[0].reason)}")


def told(text: str) -> str:
    """What the library tells people, as Markdown that shows it as it is, with fields for the options that it names."""
    return escape(as_fields(text))


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>$~:&])", r"\\\1", text)
