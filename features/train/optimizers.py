"""The optimizers that a network can be trained with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from features.errors import FeatureError
from features.registry import Registry

if TYPE_CHECKING:  # PyTorch takes seconds, and a recipe is only a list of settings
    from torch import optim

    from features.train.recipe import Recipe

    Groups = list[dict[str, Any]]
else:
    Groups = list


@dataclass(frozen=True)
class Optimizer:
    """name: in a recipe; title: for people; paper: its source; make: of groups of parameters, each with its learning
    rate and weight decay, and a recipe. schedule: the only one that it goes with, '' for any.
    """

    name: str
    title: str
    paper: str
    make: Callable[[Groups, "Recipe"], "optim.Optimizer"]
    schedule: str = ""


def _sgd(groups: Groups, recipe: "Recipe") -> "optim.Optimizer":
    from torch import optim

    return optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def _adamw(groups: Groups, recipe: "Recipe") -> "optim.Optimizer":
    from torch import optim

    return optim.AdamW(groups, lr=recipe.learning_rate)


def _lamb(groups: Groups, recipe: "Recipe") -> "optim.Optimizer":
    from timm.optim import Lamb

    # Its own bound on the gradient's norm would be a setting that a recipe does not tell.
    return Lamb(groups, lr=recipe.learning_rate, max_grad_norm=None)


def _lars(groups: Groups, recipe: "Recipe") -> "optim.Optimizer":
    from timm.optim import Lars

    return Lars(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def _schedule_free(groups: Groups, recipe: "Recipe") -> "optim.Optimizer":
    try:
        import schedulefree
    except ImportError as error:
        raise FeatureError(
            "The optimizer schedule-free needs the package schedulefree, which is not installed. Install it with "
            "pip install schedulefree, or choose another optimizer."
        ) from error
    return schedulefree.AdamWScheduleFree(groups, lr=recipe.learning_rate)


OPTIMIZERS = Registry(
    "optimizer",
    (
        Optimizer(
            "sgd", "sgd (Nesterov momentum)", "Sutskever et al. 2013, proceedings.mlr.press/v28/sutskever13.html", _sgd
        ),
        Optimizer("adamw", "adamw", "Loshchilov and Hutter 2019, arXiv:1711.05101", _adamw),
        Optimizer("lars", "lars (large batches)", "You et al. 2017, arXiv:1708.03888", _lars),
        Optimizer("lamb", "lamb (large batches)", "You et al. 2020, arXiv:1904.00962", _lamb),
        Optimizer(
            "schedule-free",
            "schedule-free (AdamW, where the package schedulefree is installed)",
            "Defazio et al. 2024, arXiv:2405.15682",
            _schedule_free,
            schedule="constant",
        ),
    ),
)
