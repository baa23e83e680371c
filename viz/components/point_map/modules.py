"""The part's scripts as modules, which the browser fetches once and not with every run of a page."""

import re
from functools import cache
from pathlib import Path

from viz.components.point_map import media

_IMPORT = re.compile(r'(?<= from ")\./([\w.]+)(?=")')


def address(folder: Path, name: str) -> str:
    """The address of a module of this folder, beside which those that it imports have theirs; '' outside an app.

    An address is made of what the file holds, so modules cannot name each other by it. They import by file name,
    which is replaced here, first in what is imported.
    """
    addresses: dict[str, str] = {}
    for module, source in _sources(folder, name):
        served = _IMPORT.sub(lambda match: f"./{Path(addresses[match[1]]).name}", source)
        addresses[module] = media.address(served.encode(), f"module {module}", "text/javascript")
    return addresses[name]


@cache
def _sources(folder: Path, name: str) -> tuple[tuple[str, str], ...]:
    """Name and text of a module and of all that it needs, each after those it imports."""
    source = (folder / name).read_text(encoding="utf-8")
    needed = [each for imported in _IMPORT.findall(source) for each in _sources(folder, imported)]
    return tuple(dict([*needed, (name, source)]).items())
