"""What a training has before its first step: the network in parts, what it sees, and what it minimises."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from features.devices import best_device
from features.errors import FeatureError
from features.networks.architecture import Architecture
from features.networks.preprocessing import Preprocessing
from features.train import augment
from features.train.heads import HEADS, Head
from features.train.learner import Goal, Learner
from features.train.mixing import mixed
from features.train.objectives import OBJECTIVES, Objective
from features.train.parts import Parts
from features.train.recipe import Recipe
from features.train.sets import Sets
from features.train.start import Start


@dataclass(frozen=True, eq=False)
class Setup:
    """A network ready to be trained on images.

    head: None for an objective without labels. told: what became of the head of the network that it starts from, or ''.
    sizes: how many images the batches of an epoch have.
    """

    recipe: Recipe
    sets: Sets
    objective: Objective
    head: Head | None
    preprocessing: Preprocessing
    architecture: Architecture
    parts: Parts
    learner: Learner
    device: torch.device
    told: str
    sizes: list[int]

    @staticmethod
    def of(start: Start, sets: Sets, recipe: Recipe) -> "Setup":
        """Raises FeatureError if the network lacks a part to freeze or the device the precision, or if nothing could
        learn; ImageError if an image that is measured cannot be read.
        """
        device = best_device()
        _need_precision(recipe, device)
        objective = OBJECTIVES.need(recipe.objective)
        head = HEADS.need(recipe.head) if objective.labels else None
        preprocessing = start.preprocessing(sets.learned.images)
        architecture = start.shape(preprocessing, head, sets.class_names)
        begun = start.network(architecture, head, sets.class_names, recipe.seed)
        parts = Parts(begun.network.to(device).to(memory_format=torch.channels_last), recipe)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(recipe.seed)
            learner = objective.learner(parts, sets, recipe).to(device)
        sizes = augment.batch_sizes(len(sets.learned.images), recipe.batch_size)
        return Setup(
            recipe, sets, objective, head, preprocessing, architecture, parts, learner, device, begun.told, sizes
        )

    def loader(self, epoch: int, kept: np.ndarray | None = None) -> DataLoader:
        """The batches of an epoch, before images are mixed with each other.

        kept: as of `frozen.kept`, which stands in the place of the images.
        """
        learned = self.sets.learned
        if kept is not None:
            return augment.loader(augment.Unchanging(kept, learned.targets), self.recipe, epoch)
        transform = self.objective.transform(self.preprocessing, self.recipe)
        dataset = augment.Augmented(learned.images, learned.targets, transform, self.recipe.seed, epoch)
        return augment.loader(dataset, self.recipe, epoch)

    def goal(self, pixels: Any, targets: Tensor, epoch: int, number: int) -> Goal:
        """The loss of batch `number` of an epoch, as it comes from the loader."""
        if self.objective.labels:
            pixels, targets = mixed(pixels, targets, self.recipe, len(self.sets.class_names), epoch, number)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            return self.learner(self.parts, _moved(pixels, self.device), targets.to(self.device, non_blocking=True))


def _need_precision(recipe: Recipe, device: torch.device) -> None:
    if recipe.precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise FeatureError("This GPU does not compute in bf16. Train with precision fp32.")


def _moved(pixels: Any, device: torch.device) -> Any:
    """Pixels (N, C, S, S), or each view of several, where they are worked on."""
    if isinstance(pixels, Tensor):
        layout = torch.channels_last if pixels.ndim == 4 else torch.contiguous_format  # of features
        return pixels.to(device, memory_format=layout, non_blocking=True)
    return [_moved(view, device) for view in pixels]
