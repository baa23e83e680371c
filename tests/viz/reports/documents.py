"""A document with every kind of part, whose every text is hostile."""

import pandas as pd
import plotly.graph_objects as go
from PIL import Image

from viz import theme
from viz.reports import (
    Beside,
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
    Picture,
    Prose,
    Section,
    Table,
    Tile,
)
from viz.reports.document import MORE

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\n\"quoted\" 'so' & 🦊 \u2028 {{ 7 * 7 }} -->"
DATA = pd.DataFrame({"name": [HOSTILE, HOSTILE, HOSTILE, "plain"], "value": [1.5, float("nan"), -2.0, 1e-9]})


def picture(key: str) -> Picture:
    return Picture(key, lambda: Image.new("RGB", (28, 28), "navy"), HOSTILE)


def figure(key: str, text: str = HOSTILE) -> Figure:
    bars = theme.style(go.Figure(go.Bar(x=[theme.plain(text), "b"], y=[1, 2], name=theme.plain(text))), 300)
    return Figure(key, text, bars, DATA, text, text)


def every_part(text: str = HOSTILE) -> Document:
    columns = (
        Column(text, (text, Cell(text, link="fold")), text, number=False),
        Column("number", (Cell("1.5", MORE), "2")),
    )
    ranges = Column("ms for one", ("124.9 (103.7 to 158.2)", "2.5 (2.4 to 2.6)"))
    counts = Column("parameters", ("100,269,434", "1"))
    wide = Table("wide", text, (columns[0], *[columns[1]] * 6, *[ranges] * 4, *[counts] * 2), DATA)
    tiles = (Tile((picture("one"), picture("two")), (text, "b")), Tile((picture("one"),), (text,)))
    parts = (
        Prose(text), Prose(text, quiet=True), Facts((Fact(text, text, text), Fact("p", "0.5"))),
        Table("table", text, columns, DATA, text), figure("alone", text), Command(text), Download("all", text, DATA),
    )  # fmt: skip
    parts = (*parts, wide)
    folded = (
        Beside((figure("left", text), figure("right", text))),
        Gallery(text, tiles, 5, text),
        Gallery(text, (), 0),
    )
    sections = Section("first", text, parts), Section("second", text, (Fold("fold", text, text, folded),))
    return Document(text, (text,), sections)
