"""Says how far a network stays right on worse pictures: corruptions at five strengths, and attacks within a ball."""

from features.robustness.attack import NORMS
from features.robustness.corruptions import FAMILIES, STRENGTHS, Corruption, corrupted
from features.robustness.export import ROBUSTNESS, write
from features.robustness.measuring import attacked, need_pictures, robustness
from features.robustness.one_picture import of_framed, worsened
from features.robustness.results import Attacked, Curve, Robustness

__all__ = [
    "FAMILIES",
    "NORMS",
    "ROBUSTNESS",
    "STRENGTHS",
    "Attacked",
    "Corruption",
    "Curve",
    "Robustness",
    "attacked",
    "corrupted",
    "need_pictures",
    "of_framed",
    "robustness",
    "worsened",
    "write",
]
