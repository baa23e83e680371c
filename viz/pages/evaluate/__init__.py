"""The page that shows how often a network is right, and how far it can be relied on."""

from viz.pages.evaluate.page import render

__all__ = ["render"]
