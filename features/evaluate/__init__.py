"""Says how far a network can be relied on: scores, calibration, retrieval by its features, and novelty of other images."""

from features.evaluate.calibration import Calibration, Reliability, Temperature
from features.evaluate.evaluation import OF_IMAGES, Evaluation, evaluate
from features.evaluate.scores import ClassScore

__all__ = ["OF_IMAGES", "Calibration", "ClassScore", "Evaluation", "Reliability", "Temperature", "evaluate"]
