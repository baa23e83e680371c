"""The page that shows how a network arranges images, stage by stage."""

from viz.pages.embed.page import render

__all__ = ["render"]
