"""What a report is made of, as plain values: sections of prose, numbers, tables, figures and galleries.

All texts are shown as they are, whatever signs are in them. A `key` is of small letters, digits and hyphens, and its
document's alone: links lead to it, and what is downloaded is called by it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import plotly.graph_objects as go
from PIL.Image import Image

if TYPE_CHECKING:
    import pandas as pd

QUIET, BEST, MORE, LESS = "quiet", "best", "more", "less"  # tones of cells: within noise, the winner, above and below 0


@dataclass(frozen=True)
class Prose:
    """A paragraph. quiet: a remark, in small letters."""

    kind: ClassVar[str] = "prose"
    text: str
    quiet: bool = False


@dataclass(frozen=True)
class Fact:
    """A number that stands by itself. meaning: how to read it."""

    name: str
    value: str
    meaning: str = ""


@dataclass(frozen=True)
class Facts:
    """Numbers side by side."""

    kind: ClassVar[str] = "facts"
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Cell:
    """A cell of a table. tone: of those above. link: the key of what it leads to."""

    text: str
    tone: str = ""
    link: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table. meaning: of its head, where that is short. number: whether its cells are flush right."""

    head: str
    cells: Sequence[Cell | str]
    meaning: str = ""
    number: bool = True


@dataclass(frozen=True, eq=False)
class Table:
    """A table, whose first column names its rows. data: what is downloaded."""

    kind: ClassVar[str] = "table"
    key: str
    title: str
    columns: tuple[Column, ...]
    data: "pd.DataFrame"
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Figure:
    """A Plotly figure. alternative: what it shows, for who does not see it. data: the same as a table."""

    kind: ClassVar[str] = "figure"
    key: str
    title: str
    figure: go.Figure
    data: "pd.DataFrame"
    alternative: str
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture of a tile. key: what tells it from others, so that each is kept once. make: opens it."""

    key: str
    make: Callable[[], Image]
    alternative: str


@dataclass(frozen=True)
class Tile:
    """Pictures of one thing side by side, and lines of text below."""

    pictures: tuple[Picture, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Gallery:
    """The first tiles of `total`. Those whose pictures the document has no room for are left out, which is told."""

    kind: ClassVar[str] = "gallery"
    title: str
    tiles: tuple[Tile, ...]
    total: int
    caption: str = ""


@dataclass(frozen=True)
class Command:
    """A line to run in a shell."""

    kind: ClassVar[str] = "command"
    text: str


@dataclass(frozen=True, eq=False)
class Download:
    """A table that is not shown, to take away."""

    kind: ClassVar[str] = "download"
    key: str
    title: str
    data: "pd.DataFrame"


@dataclass(frozen=True)
class Fold:
    """Parts that are folded away on the screen until somebody wants them; on paper all are there. note: what matters
    most of them, beside the title."""

    kind: ClassVar[str] = "fold"
    key: str
    title: str
    note: str
    parts: "tuple[Part, ...]"
    is_open: bool = False


Part = Prose | Facts | Table | Figure | Gallery | Command | Download | Fold


@dataclass(frozen=True)
class Section:
    """Parts under a heading, which the table of contents lists."""

    key: str
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Document:
    """A report. summary: what it says, in a sentence or two. pictures: by the keys of `Picture`, as data: addresses."""

    title: str
    summary: tuple[str, ...]
    sections: tuple[Section, ...]
    pictures: Mapping[str, str] = field(default_factory=dict)

    def parts(self) -> Iterator[Part]:
        """All parts, those of folds too, in their order."""
        for section in self.sections:
            yield from _all(section.parts)


def _all(parts: Sequence[Part]) -> Iterator[Part]:
    for part in parts:
        yield part
        if isinstance(part, Fold):
            yield from _all(part.parts)
