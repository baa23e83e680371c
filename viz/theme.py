"""Colours and number formats that all figures share."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

# Okabe & Ito 2008: told apart by colour-blind readers. The rest of CATEGORIES is the project's, for classes seven to
# twelve; all have a contrast of 2 to 1 or more on the app's light and its dark background.
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
PURPLE, SKY, GREY = "#cc79a7", "#56b4e9", "#8a939b"
CATEGORIES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "#b8a90b", "#a65bb8", "#6f6fd0", "#a5673f", GREY, "#3d9970")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")
SHORTCUT_COLOURS = {"identity": BLUE, "projection": ORANGE, "padding": GREEN, "none": GREY}
GRID = "rgba(128, 138, 147, 0.25)"
FONTS = '"Source Sans 3", "Source Sans Pro", "Source Sans", system-ui, -apple-system, "Segoe UI", sans-serif'


@dataclass(frozen=True)
class Screen:
    """A light or a dark background and what is drawn on it. page, raised, text, accent: as .streamlit/config.toml has
    them for the app. ink: of the texts in figures. line: of frames."""

    page: str
    raised: str
    text: str
    accent: str
    ink: str
    line: str


SCREENS = {
    "light": Screen("#ffffff", "#f3f5f7", "#1b2733", "#0f6b9a", "#2b3843", "#d9dfe4"),
    "dark": Screen("#10161c", "#1a232c", "#e4eaf0", "#4fb3e0", "#d5dde5", "#33404c"),
}


def category_colour(index: int) -> str:
    return CATEGORIES[index % len(CATEGORIES)]


def faint(colour: str) -> str:
    """A colour '#rrggbb' as a light tint of whatever lies behind it."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.22)"


def style(figure: go.Figure, height: int, title: str = "") -> go.Figure:
    """The look that figures share: no background of their own, thin grid, room for the axis titles."""
    # Attributes, not update_layout, which takes ten times as long; every page draws several figures.
    layout = figure.layout
    layout.height = height
    if title:
        layout.title = {"text": title, "font": {"size": 15}, "x": 0, "xanchor": "left"}
    layout.margin = {"l": 60, "r": 20, "t": 48 if title else 20, "b": 50}
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)"
    layout.hoverlabel.align = "left"
    layout.modebar.bgcolor = "rgba(0,0,0,0)"
    layout.legend = {"orientation": "h", "y": -0.22, "x": 0}
    for axis in (layout.xaxis, layout.yaxis):
        axis.gridcolor = axis.zerolinecolor = GRID
    return figure


def ink(figure: go.Figure, dark: bool) -> go.Figure:
    """The same figure with text that reads well on the app's light or dark background."""
    colour = SCREENS["dark" if dark else "light"].ink
    layout = figure.layout
    if layout.font.color == colour:  # set last: it is done
        return figure
    layout.legend.font.color = colour
    for name in ("xaxis", "yaxis"):  # and those of further panels
        for axis in (layout[key] for key in layout if key.startswith(name)):
            axis.tickfont.color = axis.title.font.color = colour
    for trace in figure.data:
        if trace.type == "bar":  # text inside a bar would be chosen for contrast with the bar alone
            trace.textfont.color = colour
    layout.font.color = colour
    return figure


def plain(text: str) -> str:
    """Text that Plotly shows as it is, whatever tags a file or a class is called by."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def count(number: float) -> str:
    """1234567 -> '1.23 M'."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= 0.9995 * size:  # what three digits round up to it
            return f"{number / size:.3g} {letter}"
    return f"{number:.0f}"


def shape(dimensions: Sequence[int]) -> str:
    """(64, 56, 56) -> '64 x 56 x 56' with real multiplication signs."""
    return " × ".join(map(str, dimensions))


def seconds(number: float) -> str:
    """90 -> '1 min 30 s'."""
    minutes, rest = divmod(round(number), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(number: float) -> str:
    """1234567 bytes -> '1.2 MB'."""
    for unit, letters in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= 0.9995 * unit:
            return f"{number / unit:.2g} {letters}" if number < 10 * unit else f"{number / unit:,.0f} {letters}"
    return f"{number:.0f} bytes"
