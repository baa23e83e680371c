"""The page that shows what single channels of a network answer to."""

from viz.pages.channels.page import render

__all__ = ["render"]
