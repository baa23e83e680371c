"""Says how far a network can be relied on: scores, calibration, retrieval by its features, and novelty of others."""

from features.evaluate.calibration import Calibration, Reliability, Temperature
from features.evaluate.evaluation import OF_IMAGES, Evaluation, evaluate, of_logits
from features.evaluate.novelty import SCORES as NOVELTY_SCORES
from features.evaluate.novelty import Novelty, Scored, novelty
from features.evaluate.retrieval import RANKS, Retrieval, retrieval
from features.evaluate.scores import ClassScore
from features.evaluate.separating import Separating

__all__ = [
    "NOVELTY_SCORES",
    "OF_IMAGES",
    "RANKS",
    "Calibration",
    "ClassScore",
    "Evaluation",
    "Novelty",
    "Reliability",
    "Retrieval",
    "Scored",
    "Separating",
    "Temperature",
    "evaluate",
    "novelty",
    "of_logits",
    "retrieval",
]
