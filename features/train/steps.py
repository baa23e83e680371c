"""How a network steps: gradients of one batch or several, clipped, through an optimizer along a schedule."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from features.networks.canonical import ResidualNetwork
from features.train.averaging import Average
from features.train.learner import Learner
from features.train.optimizers import OPTIMIZERS
from features.train.parts import Parts
from features.train.recipe import Recipe


class Steps:
    """Optimizer, schedule, and the running average of the weights where one is kept."""

    def __init__(self, parts: Parts, learner: Learner, recipe: Recipe, share: Callable[[int], float]) -> None:
        """share: the learning rate of each step, counted from 0, as a share of the recipe's."""
        self.parts, self.learner, self.recipe = parts, learner, recipe
        self.optimizer = OPTIMIZERS.need(recipe.optimizer).make(parts.groups(learner), recipe)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, share)
        self.average = Average(parts.network, recipe.ema_decay) if recipe.ema_decay else None

    @property
    def learning_rate(self) -> float:
        """The head's, which is that of the recipe at this place of the schedule."""
        return self.recipe.learning_rate * float(self.schedule.get_last_lr()[0]) / float(self.schedule.base_lrs[0])

    def backward(self, loss: Tensor, share: float) -> None:
        """Add a batch's gradient to the step's. share: of the step's images that are in the batch."""
        (loss * share).backward()

    def step(self) -> None:
        """Change the weights by the gradients of all batches since the last step, and forget these."""
        if self.recipe.clip_norm:
            parameters = [each for group in self.optimizer.param_groups for each in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.learner.stepped(self.parts)
        if self.average is not None:
            self.average.update(self.parts.network)

    @contextmanager
    def at_rest(self) -> Iterator[ResidualNetwork]:
        """The network that is tested and kept, in eval mode: the average where there is one, else the one in training.

        Optimizers without a schedule have it elsewhere than where gradients are taken, and go there and back.
        """
        moves = hasattr(self.optimizer, "eval") and self.optimizer.state
        if moves:
            self.optimizer.eval()  # type: ignore[attr-defined]
        try:
            yield (self.parts.network if self.average is None else self.average.network).eval()
        finally:
            if moves:
                self.optimizer.train()  # type: ignore[attr-defined]

    def state_dict(self) -> dict[str, Any]:
        state = {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}
        return state if self.average is None else {**state, "average": self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
