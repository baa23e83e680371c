"""What training minimises: which objectives there are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from features.networks.preprocessing import Preprocessing
    from features.train.learner import Learner
    from features.train.parts import Parts
    from features.train.recipe import Recipe
    from features.train.sets import Sets


@dataclass(frozen=True)
class Objective:
    """name: in a recipe; title: for people; paper: its source.

    labels: whether it learns from labels, with a classifier that is made for them; without, the network has no head.
    learner: what minimises it, made of the network's parts, the images and the recipe. It draws from torch's global
    generator, as layers do. transform: from a picture to what the network sees of it: a tensor (C, S, S), or a tuple
    of such, one for each view.
    """

    name: str
    title: str
    paper: str
    labels: bool
    learner: "Callable[[Parts, Sets, Recipe], Learner]"
    transform: "Callable[[Preprocessing, Recipe], nn.Module]"


def _labels(parts: "Parts", sets: "Sets", recipe: "Recipe") -> "Learner":
    from features.train.learner import Supervised

    return Supervised(sets, recipe)


def _augmented(preprocessing: "Preprocessing", recipe: "Recipe") -> "nn.Module":
    from features.train.augment import augmentation

    return augmentation(preprocessing, recipe)


OBJECTIVES = Registry(
    "objective",
    (Objective("labels", "labels: what the head learns of each image", "", True, _labels, _augmented),),
)
