"""A workspace as a Jupyter notebook that makes the same figures with the public API."""

import hashlib
import json
from typing import Any

from features.networks.naming import parse
from features.workspace import View, Workspace
from viz.reports.workspace.exhibits import Exhibit, exhibits_of
from viz.reports.workspace.measures import MEASURES

FORMAT, MINOR = 4, 5  # of nbformat


def notebook(workspace: Workspace) -> str:
    """The file's text, in nbformat 4.5. `shown` in it holds every figure by the titles of view and figure."""
    cells = [_markdown(_head(workspace)), _code(_setup(workspace))]
    about: tuple[str, str, bool] = (workspace.network.name, "", False)
    made: dict[str, str] = {}
    for view in workspace.views:
        cells.append(_markdown(_told(view)))
        exhibits = exhibits_of(view)
        now = ((view.network or workspace.network).name, view.selection, view.corrected)
        if exhibits and now != about:
            cells.append(_code(_about(workspace, view)))
            about, made = now, {}
        for exhibit in exhibits:
            cells.append(_code(_figure(view, exhibit, made)))
    return json.dumps(
        {
            "cells": [cell | {"id": _id(number, cell)} for number, cell in enumerate(cells)],
            "metadata": {
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                "language_info": {"name": "python"},
            },
            "nbformat": FORMAT,
            "nbformat_minor": MINOR,
        },
        indent=1,
        ensure_ascii=False,
    )


def _head(workspace: Workspace) -> str:
    note = f"\n\n{workspace.note}" if workspace.note else ""
    return (
        f"# {workspace.name}\n\n{workspace.describe()}.{note}\n\nRun it in the folder of ResNet Explorer, in an "
        "environment with its requirements."
    )


def _setup(workspace: Workspace) -> str:
    images = workspace.images
    named = images.path_column or images.label_column
    columns = f", columns=datasets.Columns({images.path_column!r}, {images.label_column!r})" if named else ""
    lines = [
        "import numpy as np",
        "",
        "from features import datasets, notes",
        "from features.datasets.corrections import corrected",
        "from features.networks import naming, zoo",
        "from features.progress import finish",
        "from features.selection import Selection",
        "",
        f"model = zoo.load(naming.parse({_network(workspace.network.name)!r}))",
        f"every = datasets.open_images({images.source!r}{columns})",
        *([f"every = every.sample({images.limit})"] if images.limit is not None else []),
        f"if every.digest != {images.digest!r}:",
        '    print("The images have changed since this was written: figures may differ.")',
        "images = every",
        "shown = {}",
    ]
    return "\n".join(lines)


def _about(workspace: Workspace, view: View) -> str:
    """The network and the images of a view, where they are not those before."""
    lines = [
        f"model = zoo.load(naming.parse({_network((view.network or workspace.network).name)!r}))",
        "images = every",
    ]
    if view.corrected:
        lines += [
            "noted = finish(notes.noted_in(images, notes.Book().notes()))",
            "images = corrected(images, noted.corrections(images))",
        ]
    if view.selection:
        rows = next(each.rows for each in workspace.selections if each.name == view.selection)
        lines += [
            f"rows = np.array({rows})  # {view.selection}",
            "images = images.select(Selection(images.pictures_digest, rows, len(images)))",
        ]
    return "\n".join(lines)


def _figure(view: View, exhibit: Exhibit, made: dict[str, str]) -> str:
    """The lines of a figure. made: what measures stand as already, by their names, to which its own are added."""
    imports: list[str] = []
    steps: list[str] = []
    for name in exhibit.of:
        measure = MEASURES[name]
        code = measure.code(view)
        if made.get(name) != code:  # another view may have made the same of another picture meanwhile
            made[name] = code
            imports += measure.imports
            steps += code.splitlines()
    draw, title = exhibit.draw, f"{view.title}: {exhibit.title}"
    imports.append(f"from {draw.__module__} import {draw.__name__}")
    steps += [f"shown[{title!r}] = {draw.__name__}({', '.join(exhibit.of)})", f"shown[{title!r}]"]
    return "\n".join([*dict.fromkeys(imports), "", *steps])


def _network(name: str) -> str:
    """As `naming.parse` reads it; checked here, since it becomes a line of code as text alone."""
    return str(parse(name))


def _told(view: View) -> str:
    shown = "" if exhibits_of(view) else "\n\nThe app alone shows this page."
    return f"## {view.title}\n\n{view.caption}{shown}".strip()


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str) -> dict[str, Any]:
    lines = text.splitlines(keepends=True)
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": lines}


def _id(number: int, cell: dict[str, Any]) -> str:
    """The same notebook has the same ids, which the format wants of every cell."""
    return f"{number:03d}-{hashlib.sha256(''.join(cell['source']).encode()).hexdigest()[:8]}"
