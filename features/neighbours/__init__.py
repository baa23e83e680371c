"""The nearest neighbours of rows of features: each row's own exactly, or the graph of all, computed once."""

from features.neighbours.exact import Exact
from features.neighbours.graphs import digest, graph
from features.neighbours.neighbours import Neighbours, nearest, need_finite, search

__all__ = ["Exact", "Neighbours", "digest", "graph", "nearest", "need_finite", "search"]
