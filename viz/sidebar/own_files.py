"""Files of a visitor's own: paths that are typed, inside the folders that the app may use, and uploads."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from features import files
from features.errors import DatasetError, FeatureError
from features.files import ROOTS
from features.sources import ARCHIVES, EXTENSIONS, LISTS, TABLES, in_archive, is_pattern
from viz import widgets
from viz.cached.server import uploads


def new_folder(text: str) -> Path:
    """A folder that a visitor typed, which need not be there, inside the folders that the app may use."""
    return inside_roots(text, "folder", FeatureError, must_exist=False)


def inside_roots(text: str, what: str, error: type[FeatureError], must_exist: bool = True) -> Path:
    """A path that a visitor typed, if it lies inside the folders that the app may read."""
    if not text.strip():
        raise error(f"No {what} chosen yet. Type a path in the sidebar, or upload.")
    keep_to_roots()
    try:
        path = Path(text.strip()).expanduser().resolve()
        inside = files.may_be_read(str(path)) or path.is_relative_to(uploads())
        there = inside and (path.exists() or is_pattern(str(path)) or in_archive(path) is not None or not must_exist)
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


def keep_to_roots() -> None:
    """Have this server, and the processes that it starts, follow no links out of the folders that it may use."""
    os.environ.setdefault(ROOTS, os.pathsep.join(map(str, (Path.home(), Path(__file__).resolve().parents[2]))))


def keep_upload(label: str, kinds: list[str] | None, key: str, multiple: bool | Literal["directory"]) -> None:
    """An upload that is written to disk and whose path becomes the text field `key`.

    multiple: whether several files may be given at a time, or 'directory' for a whole folder.
    """

    control = f"{key}_folder_upload" if multiple == "directory" else f"{key}_upload"

    def keep() -> None:
        uploaded = st.session_state[control]
        chosen = uploaded if isinstance(uploaded, list) else [uploaded] if uploaded else []
        try:
            if chosen:
                write = _write_folder if multiple == "directory" else _write_uploads
                st.session_state[key] = str(write(chosen))
        except FeatureError as error:
            st.toast(widgets.told(str(error)), icon=":material/error:")

    st.file_uploader(label, type=kinds, key=control, accept_multiple_files=multiple, on_change=keep)


def _write_uploads(chosen: list[Any]) -> Path:
    """One archive or weights file by itself, others in a folder of their own; the same files, the same path.

    A list of labels may come with images, or with archives of them.
    """
    contents = [file.getvalue() for file in chosen]
    names = [_safe(Path(file.name).name) for file in chosen]
    told = [name for name in names if name.lower().endswith(LISTS)]  # of images that come with it
    others = [name for name in names if name not in told]
    one_kind = any(all(name.lower().endswith(ends) for name in others) for ends in (EXTENSIONS, ARCHIVES, TABLES))
    labelled = all(name.lower().endswith((*EXTENSIONS, *ARCHIVES)) for name in others)
    if len(chosen) > 1 and (not one_kind or len(told) > 1 or (told and not labelled)):
        raise DatasetError(
            "Upload images or archives, with at most one list of their labels, or Parquet files; more would be several "
            "sets. Take the others away."
        )
    folder = _written(_different(names), contents)
    single = len(chosen) == 1 and Path(names[0]).suffix.lower() not in EXTENSIONS
    return folder / names[0] if single else folder


def _write_folder(chosen: list[Any]) -> Path:
    """A folder as it was, whose files' names are paths below it."""
    names = ["/".join(_safe(part) for part in re.split(r"[/\\]+", file.name) if part.strip(".")) for file in chosen]
    return _written(_different(names), [file.getvalue() for file in chosen])


def _safe(name: str) -> str:
    """A file's name without signs that some systems do not take; others stay, since a list may name the file."""
    return re.sub(r"[\x00-\x1f\x7f/\\:*?\"<>|]+", "_", name)


def _different(names: list[str]) -> list[str]:
    """The same names, with numbers before all of them where some are the same."""
    if len(set(names)) == len(names):
        return names
    parts = [name.rpartition("/") for name in names]
    return [f"{folder}{slash}{number}_{name}" for number, (folder, slash, name) in enumerate(parts)]


def _written(names: list[str], contents: list[bytes]) -> Path:
    """The folder of uploaded files; the same files, the same folder."""
    parts = [part for name, content in zip(names, contents, strict=True) for part in (name.encode(), content)]
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]
    folder = uploads() / digest
    for name, content in zip(names, contents, strict=True):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():  # the folder's name says what is in it, and somebody may be reading it
            files.write_whole(place, content)
    return folder
