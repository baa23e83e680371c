"""Arranges images on a plane by their features, stage by stage, and says how far to trust the arrangement."""

from features.embed.aligning import aligned
from features.embed.clustering import clusters
from features.embed.distinguishing import Distinguished, distinguishing
from features.embed.layouts import METHODS
from features.embed.maps import StageMaps, cohesion, drift, reseeded, stage_maps, turnover
from features.embed.placing import Placed, Placement
from features.embed.principal import Moved, moved
from features.embed.projection import MapSettings, Projection, distance, project, warm_up
from features.embed.rankings import RANKINGS, Evidence, Ranked
from features.embed.scores import Separation, separation
from features.embed.trust import Trust, trust
from features.neighbours.exact import Exact
from features.neighbours.graphs import digest, graph
from features.neighbours.neighbours import Neighbours, nearest, need_finite

__all__ = [
    "METHODS",
    "RANKINGS",
    "Distinguished",
    "Evidence",
    "Exact",
    "MapSettings",
    "Moved",
    "Neighbours",
    "Placed",
    "Placement",
    "Projection",
    "Ranked",
    "Separation",
    "StageMaps",
    "Trust",
    "aligned",
    "clusters",
    "cohesion",
    "digest",
    "distance",
    "distinguishing",
    "drift",
    "graph",
    "moved",
    "nearest",
    "need_finite",
    "project",
    "reseeded",
    "separation",
    "stage_maps",
    "trust",
    "turnover",
    "warm_up",
]
