"""Draws networks side by side, one module a subject: the overview, branches along depth, saliency, and maps."""

from viz.figures.compare.depth import along_depth
from viz.figures.compare.looks import alike, alike_by_class
from viz.figures.compare.movers import changed, moved
from viz.figures.compare.overview import COSTS, cost, slices, undominated
from viz.figures.compare.quality import classes, reliability
from viz.figures.compare.similarity import similarity, stitching

__all__ = [
    "COSTS",
    "alike",
    "alike_by_class",
    "along_depth",
    "changed",
    "classes",
    "cost",
    "moved",
    "reliability",
    "similarity",
    "slices",
    "stitching",
    "undominated",
]
