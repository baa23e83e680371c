"""Files of a visitor's own: paths that are typed, inside the folders that the app may use, and uploads."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import streamlit as st

from features import files
from features.errors import DatasetError, FeatureError
from features.files import ROOTS
from features.sources import EXTENSIONS, LISTS
from viz import widgets
from viz.cached.server import uploads


def new_folder(text: str) -> Path:
    """A folder that a visitor typed, which need not be there, inside the folders that the app may use."""
    return inside_roots(text, "folder", FeatureError, must_exist=False)


def inside_roots(text: str, what: str, error: type[FeatureError], must_exist: bool = True) -> Path:
    """A path that a visitor typed, if it lies inside the folders that the app may read."""
    if not text.strip():
        raise error(f"No {what} chosen yet. Type a path in the sidebar, or upload.")
    _keep_to_roots()
    try:
        path = Path(text.strip()).expanduser().resolve()
        inside = files.may_be_read(str(path)) or path.is_relative_to(uploads())
        there = inside and (path.exists() or not must_exist)
    except (OSError, RuntimeError, ValueError) as problem:  # nobody's home, links in a circle, too long, a NUL
        raise error(f"{text} cannot be followed: {problem}. Check the path.") from problem
    if not inside:
        allowed = ", ".join(map(str, files.roots()))
        raise error(
            f"{text} lies outside the folders that this app may use ({allowed}). Set {ROOTS} to allow others "
            "and start the app again."
        )
    if not there:
        raise error(f"There is nothing at {text}. Check the path; it is on the machine that runs the app.")
    return path


def _keep_to_roots() -> None:
    """Have this server, and the processes that it starts, follow no links out of the folders that it may use."""
    os.environ.setdefault(ROOTS, os.pathsep.join(map(str, (Path.home(), Path(__file__).resolve().parents[2]))))


def keep_upload(label: str, kinds: list[str] | None, key: str, multiple: bool) -> None:
    """An upload that is written to disk and whose path becomes the text field `key`."""

    def keep() -> None:
        uploaded = st.session_state[f"{key}_upload"]
        chosen = uploaded if isinstance(uploaded, list) else [uploaded] if uploaded else []
        try:
            if chosen:
                st.session_state[key] = str(_write_uploads(chosen))
        except FeatureError as error:
            st.toast(widgets.escape(str(error)), icon=":material/error:")

    st.file_uploader(label, type=kinds, key=f"{key}_upload", accept_multiple_files=multiple, on_change=keep)


def _write_uploads(chosen: list[Any]) -> Path:
    """One archive or weights file by itself, images in a folder of their own; the same files, the same path."""
    contents = [file.getvalue() for file in chosen]
    names = [re.sub(r"[^\w.-]+", "_", Path(file.name).name) for file in chosen]
    kinds = [Path(name).suffix.lower() for name in names]
    others = [kind for kind in kinds if kind not in EXTENSIONS]
    if len(chosen) > 1 and others and (len(others) > 1 or others[0] not in LISTS):
        raise DatasetError(
            "Upload one zip, or images with at most one list of their labels; more would be several sets. Take the "
            "others away."
        )
    parts = [part for name, content in zip(names, contents, strict=True) for part in (name.encode(), content)]
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]
    folder = uploads() / digest
    folder.mkdir(exist_ok=True)
    for number, (name, content) in enumerate(zip(names, contents, strict=True)):
        place = folder / (name if len(set(names)) == len(names) else f"{number}_{name}")
        if not place.exists():  # the folder's name says what is in it, and somebody may be reading it
            files.write_whole(place, content)
    single = len(chosen) == 1 and Path(names[0]).suffix.lower() not in EXTENSIONS
    return folder / names[0] if single else folder
