"""Draws networks side by side: cost and quality, slices and similarity, one module a subject."""

from viz.figures.compare.overview import cost, similarity, slices, undominated

__all__ = ["cost", "similarity", "slices", "undominated"]
