"""What pages are made of: figures, tables to take away, errors, and the wait for a job."""

import html
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from features.datasets import Rejected
from features.errors import FeatureError
from viz import theme
from viz.jobs import Job

GRACE = 0.4
CAMERA = "camera"


def chart(figure: go.Figure, key: str, **options: Any) -> Any:
    """Draw a figure in the app's light or dark colours; what `on_select` reports comes back."""
    camera = {"format": st.session_state.get(CAMERA, "svg"), "scale": 2, "filename": _file_name(key)}
    config = {"displaylogo": False, "scrollZoom": "on_select" in options, "toImageButtonOptions": camera}
    return st.plotly_chart(theme.ink(figure, st.context.theme.type == "dark"), key=key, config=config, **options)


def exhibit(title: str, figure: go.Figure, reading: str, source: str) -> None:
    """A figure as it would stand in a paper: its title, how to read it, where it is from, and itself to take away."""
    st.subheader(escape(title))
    chart(figure, title)
    with st.container(horizontal=True, vertical_alignment="top"):
        st.caption(f"{reading} Source: {source}.", width="stretch")
        st.download_button(
            "HTML",
            lambda: _page(title, figure, f"{reading} Source: {source}."),
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


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that CSV can hold: lists of numbers are left to Parquet."""
    return table[[name for name in table if not table[name].map(lambda value: isinstance(value, np.ndarray)).any()]]


def _file_name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def camera() -> None:
    """What the camera above every figure takes."""
    st.segmented_control("The camera above a figure takes", ("svg", "png"), default="svg", key=CAMERA, required=True)


def downloads(table: pd.DataFrame, name: str) -> None:
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


@contextmanager
def show_errors() -> Iterator[None]:
    """Show a FeatureError on the page in place of what it prevented; what was drawn before stays."""
    try:
        yield
    except FeatureError as error:
        st.error(escape(str(error)), icon=":material/error:")


def result(job: Job, what: str) -> Any:
    """A job's result. While it is not there, the page shows how far it is, with a cancel button, and stops
    here.
    """
    if not job.cancelled and not job.wait(GRACE):
        _watch(job.key, job, what)
        st.stop()
    if job.cancelled:
        st.info(f"{what}: cancelled.", icon=":material/cancel:")
        _again(job, "Start again")
        st.stop()
    if isinstance(job.error, FeatureError):
        job.queue.forget(job)
        raise job.error
    if job.error is not None:
        st.error(
            f"{what} failed in a way that was not foreseen ({type(job.error).__name__}). The log of the server has "
            "the details. Try again, or choose other images or another network.",
            icon=":material/error:",
        )
        _again(job, "Try again")
        st.stop()
    return job.result


def _again(job: Job, label: str) -> None:
    if st.button(label, key=f"again {job.key}"):
        job.queue.forget(job)
        st.rerun()


@st.fragment(run_every=1)
def _watch(key: str, _job: Job, what: str) -> None:
    if _job.ended or _job.cancelled:
        st.rerun()
    progress = _job.progress
    if progress is None:
        ahead = _job.queue.ahead_of(_job)
        st.progress(0.0, f"{what}: " + (f"waiting for {ahead} other" if ahead else "starting") + " …")
    else:
        left = _job.seconds_left
        parts = [f"{progress.done:,} of {progress.total:,} {_plural(progress.unit)}"]
        parts += [progress.note] if progress.note else []
        if left is not None and _job.pace is not None:
            parts += [f"{_job.pace:,.3g} {_plural(progress.unit)}/s", f"about {theme.seconds(left)} left"]
        st.progress(min(1.0, progress.done / max(1, progress.total)), f"{what}: " + ", ".join(parts))
    if st.button("Cancel", key=f"cancel {key}", icon=":material/cancel:"):
        _job.cancel()


def _plural(unit: str) -> str:
    return unit if unit.isupper() else f"{unit}s"  # 'MB' has no plural


def rejected(images: Sequence[Rejected]) -> None:
    """Say how many images could not be read, and why the first could not."""
    if images:
        st.warning(f"{len(images)} images could not be read, the first: {escape(images[0].reason)}")


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>$~:&])", r"\\\1", text)
