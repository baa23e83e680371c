"""What changes to a network do to its predictions, as sums over images that come one batch after another."""

import numpy as np
from torch import Tensor

from features.networks.card import Outputs
from features.predictions import class_logits, class_probabilities, decisions, one_class


class Effects:
    """Sums over images, in float64, for each of L changes and for the intact network.

    right: (L,) images classified rightly, as of `Predictions.correct`; probability: (L,) of the true classes; both NaN
    where these are unknown. same: (L,) images of which the same is predicted as by the intact network. intact: (2,),
    its own right and probability.
    """

    def __init__(self, n_changes: int, outputs: Outputs) -> None:
        self._outputs = outputs
        self.right, self.probability, self.same = np.zeros((3, n_changes))
        self.intact = np.zeros(2)

    def begin(self, logits: Tensor, targets: Tensor | None) -> None:
        """What the intact network makes of a batch. logits: (N, K); targets: (N,), None if unknown."""
        logits = class_logits(logits, self._outputs)
        self._targets = targets
        self._predicted = decisions(logits, self._outputs)
        self.intact += self._right(logits)

    def add(self, index: int, logits: Tensor) -> None:
        """What a changed network makes of the same batch."""
        logits = class_logits(logits, self._outputs)
        right, probability = self._right(logits)
        self.right[index] += right
        self.probability[index] += probability
        self.same[index] += int((decisions(logits, self._outputs) == self._predicted).all(1).sum())

    def _right(self, logits: Tensor) -> np.ndarray:
        """How many are right, and their true classes' probabilities in all; NaN where these are unknown."""
        if self._targets is None:
            return np.full(2, np.nan)
        probabilities = class_probabilities(logits.double(), self._outputs).gather(1, self._targets[:, None])
        right = (decisions(logits, self._outputs) == one_class(self._targets, logits.shape[1])).all(1)
        return np.array([int(right.sum()), float(probabilities.sum())])
