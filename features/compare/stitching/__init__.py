"""Stitching: what is left of a network's accuracy when another's maps, linearly mapped, stand in for its own."""

from features.compare.stitching.planning import Partners, Plan, Stitches, Unmatched, planned
from features.compare.stitching.results import Joint, Stitching
from features.compare.stitching.running import Judge, stitched

__all__ = ["Joint", "Judge", "Partners", "Plan", "Stitches", "Stitching", "Unmatched", "planned", "stitched"]
