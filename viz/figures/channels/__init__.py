"""Draws what channels answer to: results -> Plotly figures."""

from viz.figures.channels.apart import set_apart
from viz.figures.channels.ascent import ascent
from viz.figures.channels.bars import at_both_ends, bars
from viz.figures.channels.beside import most_alike
from viz.figures.channels.classes import FIRST, LAST, selective, selective_of
from viz.figures.channels.depth import along_depth, along_depth_of
from viz.figures.channels.pictures import filters_of, patches_of, pictures_of
from viz.figures.channels.ranked import ranked_of
from viz.figures.channels.responses import histogram, histogram_of
from viz.figures.channels.waves import waves

__all__ = [
    "FIRST",
    "LAST",
    "along_depth",
    "along_depth_of",
    "ascent",
    "at_both_ends",
    "bars",
    "filters_of",
    "histogram",
    "histogram_of",
    "most_alike",
    "patches_of",
    "pictures_of",
    "ranked_of",
    "selective",
    "selective_of",
    "set_apart",
    "waves",
]
