"""What a network is taught by: the loss of a batch."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from features.train.heads import HEADS, balanced
from features.train.parts import Parts
from features.train.recipe import Recipe
from features.train.sets import Sets


@dataclass(frozen=True, eq=False)
class Goal:
    """loss: (), the mean over a batch's images, with a graph; right: how many of them the network has right, None where
    nothing says what is right.
    """

    loss: Tensor
    right: int | None = None


class Learner(nn.Module):
    """Makes the loss of a batch of what the network makes of it.

    Its own parameters (projection heads) are trained with the network's, at the head's learning rate; these and its
    buffers (momentum copies, queues) are kept with the run's state, and are no part of the network that is saved.
    """

    def forward(self, parts: Parts, pixels: Any, targets: Tensor) -> Goal:
        """pixels: (N, C, S, S), or a list of such, one for each view; targets: as of `heads.Head`, 0 without labels."""
        raise NotImplementedError

    def stepped(self, parts: Parts) -> None:
        """What happens after every step of the optimizer: momentum copies move here."""


class Supervised(Learner):
    """The loss of a head on labels."""

    def __init__(self, sets: Sets, recipe: Recipe) -> None:
        super().__init__()
        self.head, self.smoothing = HEADS.need(recipe.head), recipe.label_smoothing
        weights = None
        if recipe.class_weights == "balanced":
            weights = torch.from_numpy(balanced(sets.learned.targets, self.head, len(sets.class_names)))
        self.register_buffer("weights", weights, persistent=False)  # which follow from the images
        self.weights: Tensor | None

    def forward(self, parts: Parts, pixels: Any, targets: Tensor) -> Goal:
        logits = parts.logits(pixels).float()  # (N, K)
        loss = self.head.losses(logits, targets, self.smoothing, self.weights).mean()
        return Goal(loss, int(self.head.right(logits, targets).sum()))
