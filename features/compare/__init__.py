"""Compares networks on the same images: who is right where the other is wrong, and of which images."""

from features.compare.agreement import Agreement, agreement, difference_interval, mcnemar
from features.compare.comparison import Comparison, Contender, Pair, compare, need_number
from features.compare.export import COMPARISON, write
from features.compare.slices import Compared, Slice, compared, holm, slices

__all__ = [
    "COMPARISON",
    "Agreement",
    "Compared",
    "Comparison",
    "Contender",
    "Pair",
    "Slice",
    "agreement",
    "compare",
    "compared",
    "difference_interval",
    "holm",
    "mcnemar",
    "need_number",
    "slices",
    "write",
]
