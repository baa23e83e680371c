"""Controls that return plain values, and the two ways a page waits: for a choice and for a job."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from features import datasets, zoo
from features.datasets import ImageSet
from features.errors import DatasetError, FeatureError, WeightsError
from viz import cache, theme
from viz.jobs import Job

FILE = "a file of mine"
FOLDER = "a folder or zip of mine"
UPLOADED = "uploaded images"
ROOTS = "RESNET_EXPLORER_ROOTS"
IMAGE_LIMITS = (100, 300, 1000, 3000, 10_000)
GRACE = 0.4


def sidebar() -> None:
    """Choose the network and the image set, once for all pages; both live in the URL."""
    with st.sidebar:
        st.selectbox(
            "Network",
            _network_names(),
            key="model",
            bind="query-params",
            help="Bundled networks come first, then torchvision's. Those that are not on this machine yet are "
            "fetched when chosen.",
        )
        if st.session_state["model"] == FILE:
            st.text_input(
                "Path of the weights",
                key="weights",
                bind="query-params",
                placeholder="~/checkpoints/resnet50.pth",
                help="A .pt, .pth, .th or .safetensors file on the machine that runs the app.",
            )
            _keep_upload("or upload them", ["pt", "pth", "th", "safetensors"], "weights", multiple=False)
        st.selectbox("Images", (datasets.SAMPLE, FOLDER), key="images", bind="query-params")
        if st.session_state["images"] == FOLDER:
            st.text_input(
                "Path of the folder or zip",
                key="folder",
                bind="query-params",
                placeholder="~/pictures",
                help="Flat, or one folder per class, on the machine that runs the app.",
            )
            _keep_upload(
                "or upload images or a zip",
                ["zip", *(e[1:] for e in datasets.images.EXTENSIONS)],
                "folder",
                multiple=True,
            )
        st.select_slider(
            "At most",
            IMAGE_LIMITS,
            value=1000,
            format_func=lambda number: f"{number:,} images",
            key="limit",
            bind="query-params",
            help="A balanced sample is taken from larger sets.",
        )
        st.caption(f"Runs on {_device_name()}.")
    cache.warm_up()


@st.cache_data
def _network_names() -> list[str]:
    named = [spec.name for spec in zoo.catalogue() if spec.file or spec.url]
    return [*named, FILE]


@st.cache_data
def _device_name() -> str:
    import torch

    if cache.device().type == "cuda":
        return f"the GPU ({torch.cuda.get_device_name()})"
    return f"the CPU ({torch.get_num_threads()} threads)"


def model() -> zoo.Model:
    """The network chosen in the sidebar. Raises FeatureError if it cannot be loaded."""
    name = st.session_state["model"]
    if name != FILE:
        return cache.model(name, None, 0.0)
    path = _inside_roots(st.session_state.get("weights") or "", "weights", WeightsError)
    return cache.model(None, str(path), path.stat().st_mtime)


def images() -> ImageSet:
    """The image set chosen in the sidebar. Raises FeatureError if it cannot be opened."""
    source, limit = st.session_state["images"], st.session_state["limit"]
    if source == datasets.SAMPLE:
        return cache.images(source, limit, 0.0)
    path = _inside_roots(st.session_state.get("folder") or "", "images", DatasetError)
    return cache.images(str(path), limit, path.stat().st_mtime)


def _inside_roots(text: str, what: str, error: type[FeatureError]) -> Path:
    """A path that a visitor typed, if it exists inside the folders that the app may read."""
    if not text.strip():
        raise error(f"No {what} chosen yet. Type a path in the sidebar, or upload.")
    roots = [Path(root).expanduser().resolve() for root in os.environ.get(ROOTS, "").split(os.pathsep) if root]
    roots = roots or [Path.home().resolve(), Path.cwd().resolve()]
    path = Path(text.strip()).expanduser().resolve()
    if not any(path.is_relative_to(root) for root in (*roots, _uploads())):
        allowed = ", ".join(map(str, roots))
        raise error(
            f"{text} lies outside the folders that this app may read ({allowed}). Set {ROOTS} to allow others "
            "and start the app again."
        )
    if not path.exists():
        raise error(f"There is nothing at {text}. Check the path; it is on the machine that runs the app.")
    return path


@st.cache_resource
def _uploads() -> Path:
    """Where uploads lie while the server runs."""
    return Path(tempfile.mkdtemp(prefix="resnet-explorer-")).resolve()


def _keep_upload(label: str, kinds: list[str], key: str, multiple: bool) -> None:
    """An upload that is written to disk and whose path becomes the text field `key`."""

    def keep() -> None:
        uploaded = st.session_state[f"{key}_upload"]
        files = uploaded if isinstance(uploaded, list) else [uploaded] if uploaded else []
        if files:
            st.session_state[key] = str(_write_uploads(files))

    st.file_uploader(label, type=kinds, key=f"{key}_upload", accept_multiple_files=multiple, on_change=keep)


def _write_uploads(files: list[Any]) -> Path:
    """One archive or weights file by itself, several images in a folder; named by their content."""
    contents = [file.getvalue() for file in files]
    digest = hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in contents)).hexdigest()[:16]
    names = [re.sub(r"[^\w.-]+", "_", Path(file.name).name) for file in files]
    folder = _uploads() / digest
    folder.mkdir(exist_ok=True)
    for number, (name, content) in enumerate(zip(names, contents, strict=True)):
        place = folder / (name if names.count(name) == 1 else f"{number}_{name}")
        place.write_bytes(content)
    single = len(files) == 1 and Path(names[0]).suffix.lower() not in datasets.images.EXTENSIONS
    return folder / names[0] if single else folder


def chart(figure: go.Figure, key: str, **options: Any) -> Any:
    """Draw a figure in the app's light or dark colours; what `on_select` reports comes back."""
    config = {"displaylogo": False, "scrollZoom": "on_select" in options, "toImageButtonOptions": {"format": "svg"}}
    return st.plotly_chart(theme.ink(figure, st.context.theme.type == "dark"), key=key, config=config, **options)


@contextmanager
def show_errors() -> Iterator[None]:
    """Show a FeatureError on the page in place of what it prevented; what was drawn before stays."""
    try:
        yield
    except FeatureError as error:
        st.error(str(error), icon=":material/error:")


def result(job: Job, what: str) -> Any:
    """A job's result. While it is not there, the page shows how far it is, with a cancel button, and stops
    here.
    """
    if not job.wait(GRACE):
        _watch(job.key, job, what)
        st.stop()
    if job.cancelled:
        st.info(f"{what}: cancelled.", icon=":material/cancel:")
        _again(job, "Start again")
        st.stop()
    if isinstance(job.error, FeatureError):
        cache.jobs().forget(job.key)
        raise job.error
    if job.error is not None:
        st.error(f"{what} failed: {type(job.error).__name__}: {job.error}", icon=":material/error:")
        _again(job, "Try again")
        st.stop()
    return job.result


def _again(job: Job, label: str) -> None:
    if st.button(label, key=f"again {job.key}"):
        cache.jobs().forget(job.key)
        st.rerun()


@st.fragment(run_every=0.5)
def _watch(key: str, _job: Job, what: str) -> None:
    if _job.ended:
        st.rerun()
    progress = _job.progress
    if progress is None:
        ahead = cache.jobs().ahead_of(_job)
        st.progress(0.0, f"{what}: " + (f"waiting for {ahead} other" if ahead else "starting") + " …")
    else:
        left = _job.seconds_left
        parts = [f"{progress.done:,} of {progress.total:,} {progress.unit}s"]
        parts += [progress.note] if progress.note else []
        parts += [f"about {theme.seconds(left)} left"] if left is not None else []
        st.progress(min(1.0, progress.done / max(1, progress.total)), f"{what}: " + ", ".join(parts))
    if st.button("Cancel", key=f"cancel {key}", icon=":material/cancel:"):
        _job.cancel()


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>$~:])", r"\\\1", text)
