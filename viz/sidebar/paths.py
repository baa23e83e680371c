"""Paths that are offered: what lies near a typed one, and what was opened before."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from features import files
from viz.cached.server import uploads

OFFERED, KEPT = 50, 8
RECENT = "recent"


def nearby(text: str, endings: Sequence[str]) -> list[str]:
    """Folders, and files of some endings, that a path may go on to: what lies in it, or begins as it ends.

    Only what may be read is offered; nothing where the path leads nowhere.
    """
    typed = text.strip()
    if not typed:
        return []
    with suppress(OSError, RuntimeError, ValueError):  # nobody's home, links in a circle, too long, a NUL, not allowed
        path = Path(typed).expanduser()
        folder, begun = (path, "") if path.is_dir() else (path.parent, path.name.lower())
        if not files.may_be_read(os.path.realpath(folder)):
            return []
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".")
                and entry.name.lower().startswith(begun)
                and (entry.is_dir() or entry.name.lower().endswith(tuple(endings)))
            )
        return [str(folder / name) for name in names[:OFFERED]]
    return []


def recent() -> list[str]:
    """The sources that were opened last on this machine, the last first, as far as they are still there."""
    try:
        told = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    known = [each for each in told if isinstance(each, str)] if isinstance(told, list) else []
    return [each for each in known if files.may_be_read(os.path.realpath(each)) and os.path.exists(each)]  # noqa: PTH110


def remember(place: str) -> None:
    """Keep a source among those that were opened last; uploads go with the server, and are not kept."""
    before = recent()
    if before[:1] == [place] or Path(place).is_relative_to(uploads()):
        return
    every = [place, *(each for each in before if each != place)][:KEPT]
    files.keep(_file(), json.dumps(every).encode())


def _file() -> Path:
    return files.cache_folder(RECENT) / "images.json"
