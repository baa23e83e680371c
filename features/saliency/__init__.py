"""Shows where a network looks: class activation maps of every stage, block, branch and shortcut, and exact ledgers."""

from features.saliency.explain import explain
from features.saliency.explainer import Explainer
from features.saliency.export import MAPS, Drawing, blank, exported, limit_of, manifest, write
from features.saliency.ledger import Ledger, ledger
from features.saliency.maps import (
    BLOCKS,
    BRANCH,
    BRANCHES,
    INPUT,
    KINDS,
    OUTPUT,
    SHORTCUT,
    STAGES,
    SUM,
    Options,
    SaliencyMaps,
    Tap,
)
from features.saliency.methods import CAM, LEDGER, METHODS, Method, Need, Speed, Taps, by_formula
from features.saliency.targets import ClassTarget, StageTarget, Target, parse

__all__ = [
    "BLOCKS",
    "BRANCH",
    "BRANCHES",
    "CAM",
    "INPUT",
    "KINDS",
    "LEDGER",
    "MAPS",
    "METHODS",
    "OUTPUT",
    "SHORTCUT",
    "STAGES",
    "SUM",
    "ClassTarget",
    "Drawing",
    "Explainer",
    "Ledger",
    "Method",
    "Need",
    "Options",
    "SaliencyMaps",
    "Speed",
    "StageTarget",
    "Tap",
    "Taps",
    "Target",
    "blank",
    "by_formula",
    "explain",
    "exported",
    "ledger",
    "limit_of",
    "manifest",
    "parse",
    "write",
]
