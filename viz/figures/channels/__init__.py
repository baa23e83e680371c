"""Draws what channels answer to: results -> Plotly figures."""

from viz.figures.channels.apart import set_apart
from viz.figures.channels.ascent import ascent
from viz.figures.channels.bars import at_both_ends, bars
from viz.figures.channels.beside import most_alike
from viz.figures.channels.classes import FIRST, LAST, selective
from viz.figures.channels.depth import along_depth
from viz.figures.channels.responses import histogram
from viz.figures.channels.waves import waves

__all__ = [
    "FIRST",
    "LAST",
    "along_depth",
    "ascent",
    "at_both_ends",
    "bars",
    "histogram",
    "most_alike",
    "selective",
    "set_apart",
    "waves",
]
