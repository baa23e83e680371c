"""A document as one HTML file: its template, style, script and Plotly's, each once."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from viz import theme
from viz.reports.document import Document, Figure, Gallery, Part, Tile
from viz.reports.encoding import figure_json, script_json, table_json

LIMIT = 15_000_000  # bytes of a file
TEMPLATES = Path(__file__).parent / "templates"
AXIS = {"automargin": True, "title": {"standoff": 8}, "gridcolor": theme.GRID, "zerolinecolor": theme.GRID}
NO_NETWORK = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
    "form-action 'none'"
)


def html(document: Document) -> str:
    """The whole file. It fetches nothing: its policy forbids it, and allows no scripts but the two that are its own.

    The same document makes the same file.
    """
    scripts = _plotly(), Markup(_text("report.js"))
    policy = NO_NETWORK.format(scripts=" ".join(f"'sha256-{_sha256(each)}'" for each in scripts))
    style = Markup(_text("report.css"))
    text = _environment().get_template("document.html").render(
        document=document, policy=policy, scripts=scripts, style=style, fonts=Markup(theme.FONTS),
        screens=theme.SCREENS, looks=script_json(looks()), pictures=script_json(document.pictures),
    )  # fmt: skip
    return text.encode("utf-8", "backslashreplace").decode()  # a name may hold what is no character


def looks() -> dict[str, Any]:
    """What figures look like on light and on dark screens, as Plotly's templates."""
    return {
        name: {
            "layout": {
                "font": {"color": screen.ink, "family": theme.FONTS, "size": 13},
                "colorway": theme.CATEGORIES,
                "hoverlabel": {"bgcolor": screen.raised, "bordercolor": screen.line, "font": {"color": screen.text}},
                "xaxis": AXIS,
                "yaxis": AXIS,
            }
        }
        for name, screen in theme.SCREENS.items()
    }


def shown(gallery: Gallery, pictures: dict[str, str]) -> list[Tile]:
    """The tiles of which the document has all pictures."""
    return [tile for tile in gallery.tiles if all(picture.key in pictures for picture in tile.pictures)]


def saved(part: Part) -> Markup | None:
    """The data of a part that can be taken away."""
    data = getattr(part, "data", None)
    return None if data is None else table_json(data)


def _figure(part: Figure) -> Markup:
    return figure_json(part.figure)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.globals |= {"shown": shown, "saved": saved, "figure_json": _figure}
    return made


@cache
def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())


@cache
def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
