"""The optimizers that a network can be trained with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.registry import Registry

if TYPE_CHECKING:  # PyTorch takes seconds, and a recipe is only a list of settings
    from torch import nn, optim

    from features.train.recipe import Recipe


@dataclass(frozen=True)
class Optimizer:
    """name: in a recipe; title: for people; paper: its source; make: of the network that it trains, and its recipe."""

    name: str
    title: str
    paper: str
    make: Callable[["nn.Module", "Recipe"], "optim.Optimizer"]


def _sgd(network: "nn.Module", recipe: "Recipe") -> "optim.Optimizer":
    from torch import optim

    return optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )


def _adamw(network: "nn.Module", recipe: "Recipe") -> "optim.Optimizer":
    from torch import optim

    return optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


OPTIMIZERS = Registry(
    "optimizer",
    (
        Optimizer(
            "sgd", "sgd (Nesterov momentum)", "Sutskever et al. 2013, proceedings.mlr.press/v28/sutskever13.html", _sgd
        ),
        Optimizer("adamw", "adamw", "Loshchilov and Hutter 2019, arXiv:1711.05101", _adamw),
    ),
)
