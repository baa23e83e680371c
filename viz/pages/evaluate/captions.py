"""What small pictures of an evaluation are called."""

import numpy as np

from features.evaluate import Evaluation


def captions(evaluation: Evaluation, images: np.ndarray) -> list[str]:
    """What small pictures are called: the label, and what it was taken for instead; by their rows in the evaluation."""
    right = evaluation.correct
    names = evaluation.predictions.take(images).names
    return [
        str(evaluation.labels[image]) if right[image] else f"{evaluation.labels[image]} → {name or 'nothing'}"
        for image, name in zip(images, names, strict=True)
    ]
