"""Shows where a network looks: class activation maps of every stage, block, branch and shortcut, and exact ledgers."""

from features.saliency.attributions import ATTRIBUTIONS, INPUT
from features.saliency.explain import explain
from features.saliency.explainer import Explainer
from features.saliency.export import MAPS, Drawing, blank, exported, limit_of, manifest, write
from features.saliency.ledger import LEDGER, Ledger, ledger
from features.saliency.maps import BLOCKS, BRANCH, BRANCHES, KINDS, OUTPUT, SHORTCUT, STAGES, SUM, SaliencyMaps, Tap
from features.saliency.methods import METHODS
from features.saliency.targets import ClassTarget, StageTarget, Target, parse

__all__ = [
    "ATTRIBUTIONS",
    "BLOCKS",
    "BRANCH",
    "BRANCHES",
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
    "SaliencyMaps",
    "StageTarget",
    "Tap",
    "Target",
    "blank",
    "explain",
    "exported",
    "ledger",
    "limit_of",
    "manifest",
    "parse",
    "write",
]
