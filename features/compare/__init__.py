"""Compares networks on the same images: who is right where the other is wrong, and of which images."""

from features.compare.agreement import Agreement, agreement, difference_interval, mcnemar
from features.compare.classes import Common, common_classes
from features.compare.comparison import Comparison, compare, need_number
from features.compare.contender import Contender
from features.compare.depth import N_IMAGES as DEPTH_IMAGES
from features.compare.depth import AlongDepth
from features.compare.export import COMPARISON, write
from features.compare.extras import DEFAULT as DEFAULT_EXTRAS
from features.compare.extras import EXTRAS, Extra, ExtraResult, Looked, numbers_of, with_extras
from features.compare.gallery import Drawing, Gallery, SideBySide, drawn, gallery
from features.compare.looks import Looks
from features.compare.measures import Measured, measured
from features.compare.movers import Movers
from features.compare.pair import Pair
from features.compare.sights import N_IMAGES as LOOK_IMAGES
from features.compare.sights import Settings as LookSettings
from features.compare.slices import Compared, Slice, compared, holm, slices
from features.compare.stitching import Joint, Stitching

__all__ = [
    "COMPARISON",
    "DEFAULT_EXTRAS",
    "DEPTH_IMAGES",
    "EXTRAS",
    "LOOK_IMAGES",
    "Agreement",
    "AlongDepth",
    "Common",
    "Compared",
    "Comparison",
    "Contender",
    "Drawing",
    "Extra",
    "ExtraResult",
    "Gallery",
    "Joint",
    "LookSettings",
    "Looked",
    "Looks",
    "Measured",
    "Movers",
    "Pair",
    "SideBySide",
    "Slice",
    "Stitching",
    "agreement",
    "common_classes",
    "compare",
    "compared",
    "difference_interval",
    "drawn",
    "gallery",
    "holm",
    "mcnemar",
    "measured",
    "need_number",
    "numbers_of",
    "slices",
    "with_extras",
    "write",
]
