"""The page that shows networks side by side on the same images."""

from viz.pages.compare.page import render

__all__ = ["render"]
