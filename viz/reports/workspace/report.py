"""The report of a workspace: its saved views as figures with captions, and what it holds, as one HTML file."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from features.notes import Book
from features.progress import Progress, Task
from features.workspace import View, Workspace
from viz.reports.document import Column, Document, Figure, Part, Prose, Section, Table
from viz.reports.rendering import html
from viz.reports.workspace.addresses import compared
from viz.reports.workspace.exhibits import EXHIBITS, Exhibit, exhibits_of
from viz.reports.workspace.measures import MEASURES, Setting

if TYPE_CHECKING:
    from features.datasets import ImageSet
    from features.networks.zoo import Model


@dataclass
class Made:
    """Results of measures, each made once for the same network and images."""

    kept: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def of(self, exhibit: Exhibit, setting: Setting) -> Task[list[Any]]:
        for name in exhibit.of:
            # What a view says of a measure is what its code says, which is another for another picture or method.
            key = (name, MEASURES[name].code(setting.view), setting.model.key, setting.images.digest)
            if key not in self.kept:
                self.kept[key] = yield from MEASURES[name].run(setting)
            setting.earlier[name] = self.kept[key]
        return [setting.earlier[name] for name in exhibit.of]


def report(workspace: Workspace, images: "ImageSet", load: "Callable[[str], Model]", book: Book) -> Task[bytes]:
    """The whole file. images: the workspace's as they are; load: a network by its name; book: of corrected labels."""
    document = yield from document_of(workspace, images, load, book)
    return html(document).encode()


def document_of(workspace: Workspace, images: "ImageSet", load: "Callable[[str], Model]", book: Book) -> Task[Document]:
    """The report as plain values. Raises FeatureError as the views' measures do."""
    made, sections, keys = Made(), [], set[str]()
    for number, view in enumerate(workspace.views):
        yield Progress(number, len(workspace.views), "view", view.title)
        shown = yield from workspace.images_of(view, images, book)
        model = load((view.network or workspace.network).name)
        key = _key(view.title, keys)
        sections.append(Section(key, view.title, (yield from _parts(Setting(model, shown, view, load), key, made))))
    sections.append(_holds(workspace))
    summary = (workspace.describe(), *([workspace.note] if workspace.note else []))
    return Document(workspace.name, summary, tuple(sections))


def _parts(setting: Setting, key: str, made: Made) -> Task[tuple[Part, ...]]:
    view = setting.view
    parts: list[Part] = [Prose(view.caption)] if view.caption else []
    networks = ", ".join(compared(view)) if view.page == "compare" else setting.model.spec.name
    about = f"{networks} on {len(setting.images):,} images of {setting.images.name}"
    parts.append(Prose(f"{about}. In the app: {view.link}", quiet=True))
    shown = exhibits_of(view)
    for exhibit in shown:
        results = yield from made.of(exhibit, setting)
        figure = exhibit.draw(*results)
        if figure is not None:
            data = _table(exhibit, results)
            name = f"{key}-{_plain(exhibit.name)}"
            parts.append(Figure(name, exhibit.title, figure, data, exhibit.title, exhibit.caption))
    if not shown:
        parts.append(Prose("This page is shown by the app alone; the address above opens it as it was.", quiet=True))
    return tuple(parts)


def _table(exhibit: Exhibit, results: list[Any]) -> pd.DataFrame:
    """What a figure is drawn of, to take away: of the last measure that has a table."""
    tables = [(MEASURES[name].table, each) for name, each in zip(exhibit.of, results, strict=True)]
    return next((table(each) for table, each in reversed(tables) if table is not None), pd.DataFrame())


def _holds(workspace: Workspace) -> Section:
    """What the workspace is on, so that its figures can be made again."""
    facts = {
        "network": workspace.network.name,
        "weights (SHA-256)": workspace.network.digest,
        "images": f"{workspace.images.name}, {workspace.images.n_images:,}",
        "source": workspace.images.source,
        "images' digest": workspace.images.digest,
        **{f"selection {each.name}": f"{len(each.rows):,} images" for each in workspace.selections},
        "saved": f"{workspace.saved} by {workspace.by}" if workspace.saved else "",
    }
    told = {name: value for name, value in facts.items() if value}
    data = pd.DataFrame({"fact": list(told), "value": list(told.values())})
    columns = tuple(Column(name, data[name].tolist(), number=False) for name in data)
    return Section("holds", "What it holds", (Table("held", "Network, images, selections", columns, data),))


def exhibited(view: View) -> list[str]:
    """The titles of the figures that a report shows a view as."""
    return [each.title for each in exhibits_of(view) if each.name in EXHIBITS]


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _key(title: str, taken: set[str]) -> str:
    """A key of a view, which is no other's."""
    base = f"view-{_plain(title)}".strip("-")
    key, number = base, 2
    while key in taken:
        key, number = f"{base}-{number}", number + 1
    taken.add(key)
    return key
