"""Reports: a result as one HTML file that needs nothing else, on screen and on paper."""

from viz.reports.document import (
    Cell,
    Column,
    Command,
    Document,
    Download,
    Fact,
    Facts,
    Figure,
    Fold,
    Gallery,
    Part,
    Picture,
    Prose,
    Section,
    Table,
    Tile,
)
from viz.reports.pictures import illustrated
from viz.reports.rendering import LIMIT, html

__all__ = [
    "LIMIT",
    "Cell",
    "Column",
    "Command",
    "Document",
    "Download",
    "Fact",
    "Facts",
    "Figure",
    "Fold",
    "Gallery",
    "Part",
    "Picture",
    "Prose",
    "Section",
    "Table",
    "Tile",
    "html",
    "illustrated",
]
