"""Batches whose images are mixed with each other, and so is what is learned of them."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torchvision.transforms import v2

from features.train.augment import seed_of
from features.train.recipe import Recipe

BATCHES = 2**40  # beyond the draws of images, whose seeds stand beside those of batches


def mixed(
    pixels: Tensor, targets: Tensor, recipe: Recipe, classes: int, epoch: int, number: int
) -> tuple[Tensor, Tensor]:
    """A batch after mixup (Zhang et al. 2018, arXiv:1710.09412) or CutMix (Yun et al. 2019, arXiv:1905.04899).

    pixels: (N, C, S, S); targets: (N,) classes or (N, K) labels. number: of the batch in its epoch, which with the seed
    decides the draw. Comes back as it is if the recipe mixes nothing, else with targets (N, K) that sum as they did.
    """
    kinds = [v2.MixUp(alpha=recipe.mixup)] if recipe.mixup else []
    kinds += [v2.CutMix(alpha=recipe.cutmix)] if recipe.cutmix else []
    if not kinds:
        return pixels, targets
    shares = one_hot(targets, classes).float() if targets.ndim == 1 else targets  # (N, K)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(recipe.seed, epoch, BATCHES + number))
        kind = kinds[int(torch.randint(len(kinds), ()))]
        return kind(pixels, shares)
