"""Arranges images on a plane by their features, and says how far to trust the arrangement."""

from features.embed.neighbours import Neighbours, nearest
from features.embed.projection import METHODS, Moved, Projection, moved, project, warm_up
from features.embed.trust import trust

__all__ = ["METHODS", "Moved", "Neighbours", "Projection", "moved", "nearest", "project", "trust", "warm_up"]
