"""The report of a comparison: what the page Compare shows, as one file."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from features.progress import Progress, Task
from viz.reports.compare import words
from viz.reports.compare.again import again
from viz.reports.compare.extras import branches
from viz.reports.compare.made import images as images_section
from viz.reports.compare.made import provenance
from viz.reports.compare.networks import agreement, networks
from viz.reports.compare.pairs import pairs
from viz.reports.compare.quality import quality
from viz.reports.compare.told import Told
from viz.reports.document import Document, Section
from viz.reports.pictures import illustrated, wanted_by
from viz.reports.rendering import LIMIT, html

if TYPE_CHECKING:
    from features.compare import Comparison, ExtraResult
    from features.datasets import ImageSet

__all__ = ["SECTIONS", "Told", "again", "document_of", "report", "words"]

# In the order of the report. A new one is a function here; what it has nothing to say of is None.
SECTIONS: tuple[Callable[[Told], Section | None], ...] = (
    networks,
    quality,
    agreement,
    branches,
    pairs,
    images_section,
    provenance,
)
NAMED = 3  # networks, in the summary; the table below it names all
MOST_PICTURES = 6_000_000  # bytes, however much room there is


def report(told: "Comparison", images: "ImageSet", command: str, extras: "Sequence[ExtraResult]" = ()) -> Task[bytes]:
    """The whole file, at most LIMIT bytes: pictures fill what the rest leaves of it.

    images: the set that was compared. command: that makes the file again. extras: what else is told of the networks.
    """
    document = yield from document_of(Told(told, images, command, extras))
    room = LIMIT - len(html(_with_blank_pictures(document)).encode())
    whole = yield from illustrated(document, min(MOST_PICTURES, room))
    return html(whole).encode()


def document_of(told: Told) -> Task[Document]:
    """The report without its pictures."""
    comparison = told.comparison
    names = [each.name for each in comparison.contenders]
    which = f": {', '.join(names)}" if len(names) <= NAMED else ""
    summary = (
        f"{len(names)} networks on {len(comparison.ids):,} images of {comparison.images}{which}.",
        words.best(comparison),
    )
    sections = []
    for number, make in enumerate(SECTIONS):
        yield Progress(number, len(SECTIONS), "section")
        sections.append(make(told))
    return Document(words.TITLE, summary, tuple(section for section in sections if section is not None))


def _with_blank_pictures(document: Document) -> Document:
    """The document as large as it is with all tiles, but for the pictures in them."""
    return replace(document, pictures={picture.key: "" for picture in wanted_by(document)})
