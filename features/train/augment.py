"""Turns an image set into augmented training batches, the same ones whenever they are asked for."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from features.datasets import ImageSet
from features.networks.preprocessing import Preprocessing
from features.train.policies import POLICIES
from features.train.recipe import Recipe

SMALL = 64


def measure(images: ImageSet, limit: int = 10_000, seed: int = 0) -> Preprocessing:
    """The preprocessing that fits an image set: its size, colours, mean and standard deviation.

    Sets whose first image is square and at most 64 px wide keep their size; others get 256 -> 224 px.
    Statistics come from at most `limit` images, drawn with `seed`.
    Raises ImageError if one of them cannot be read.
    """
    first = images.open(0)
    small = first.width == first.height <= SMALL
    resize, crop = (first.width, first.width) if small else (256, 224)
    probe = images.sample(limit, seed)
    raw = Preprocessing(resize, crop, (0.0,) * 3, (1.0,) * 3)
    sums, squares = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    grey = True
    for index in range(len(probe)):
        pixels = raw(probe.open(index)).double()  # (3, S, S)
        grey = grey and bool((pixels == pixels[:1]).all())
        sums += pixels.mean((1, 2))
        squares += pixels.square().mean((1, 2))
    mean = sums[: 1 if grey else 3] / len(probe)  # (C,); a grey picture's three channels are its grey values
    std = (squares[: len(mean)] / len(probe) - mean.square()).clamp_min(1e-8).sqrt()  # one-colour sets get 1e-4
    return Preprocessing(resize, crop, _rounded(mean), _rounded(std))


def _rounded(values: Tensor) -> tuple[float, ...]:
    return tuple(round(value, 4) for value in values.tolist())


class Augmented(Dataset):
    """Pixels after augmentation, with what is learned of them; the draw depends on seed, epoch and image alone.

    Images go by draws: numbers of which those from N on stand for the same images, drawn once more.
    """

    def __init__(self, images: ImageSet, targets: np.ndarray, transform: nn.Module, seed: int, epoch: int) -> None:
        self.images, self.targets, self.transform = images, targets, transform
        self.seed, self.epoch = seed, epoch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: int) -> tuple[Any, Any]:
        # Seeded per image, so that the number of workers and a restart change nothing. Only worker processes run
        # this (see loader), so no generator of the caller's is touched.
        torch.default_generator.manual_seed(seed_of(self.seed, self.epoch, draw))
        index = draw % len(self.images)
        return self.transform(self.images.open(index)), self.targets[index]


def seed_of(seed: int, epoch: int, draw: int) -> int:
    """The seed of one draw of an epoch, which depends on nothing that went before."""
    return ((seed * 10_007 + epoch) * 100_000_007 + draw) % 2**63  # which is as much as a generator takes


class Unchanging(Dataset):
    """What was made of every image before, with what is learned of it; draws as of `Augmented`."""

    def __init__(self, rows: np.ndarray, targets: np.ndarray) -> None:
        self.rows, self.targets = rows, targets

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, draw: int) -> tuple[Any, Any]:
        index = draw % len(self.rows)
        return torch.from_numpy(self.rows[index].copy()), self.targets[index]


def loader(dataset: Augmented | Unchanging, recipe: Recipe, epoch: int) -> DataLoader:
    """Batches of one epoch in random order: pixels (N, C, S, S), or as many as there are views of an image, and their
    targets (N, ...).

    They are fixed by the recipe's seed and the epoch, whatever the number of workers. A single image that is
    left over is left out: BatchNorm cannot normalise one value per channel.
    """
    targets = dataset.targets
    generator = torch.Generator().manual_seed(recipe.seed * 10_007 + epoch)
    drawn = balanced_draws(targets, recipe.seed, epoch) if recipe.sampling == "balanced" else None
    return DataLoader(
        dataset,
        batch_size=recipe.batch_size,
        shuffle=drawn is None,
        sampler=drawn,
        drop_last=len(dataset) % recipe.batch_size == 1,
        num_workers=recipe.workers if isinstance(dataset, Augmented) else 0,  # what is only read needs none
        generator=generator,
        pin_memory=torch.cuda.is_available(),
    )


def batch_sizes(n_images: int, batch_size: int) -> list[int]:
    """How many images the batches of an epoch have, in order."""
    full, rest = divmod(n_images, batch_size)
    return [batch_size] * full + [rest] * (rest > 1)


def balanced_draws(labels: np.ndarray, seed: int, epoch: int) -> list[int]:
    """N draws in random order, of each class as many as of any other, but for one: its images in turn, in random order.

    labels: (N,). A number of N or more is an image that was drawn before, to be augmented anew: image + N * times.
    """
    random, n_images = np.random.default_rng([seed, epoch]), len(labels)
    classes = random.permutation(np.unique(labels))
    shares = [len(part) for part in np.array_split(np.arange(n_images), len(classes))]
    draws = [
        member + n_images * turn
        for label, share in zip(classes, shares, strict=True)
        for turn, member in _turns(random.permutation(np.flatnonzero(labels == label)), share)
    ]
    return random.permutation(draws).tolist()


def _turns(members: np.ndarray, share: int) -> list[tuple[int, int]]:
    """How often each of `share` draws had its image before, and the image."""
    return [(number // len(members), int(members[number % len(members)])) for number in range(share)]


def augmentation(preprocessing: Preprocessing, recipe: Recipe) -> v2.Compose:
    """The random transform of a recipe, from a picture to a normalised (C, S, S) tensor."""
    side, how = preprocessing.crop, v2.InterpolationMode(preprocessing.interpolation)
    steps: list[nn.Module] = [v2.Grayscale()] if preprocessing.channels == 1 else []
    if side <= SMALL or recipe.crop == "centre":
        whole = [preprocessing.resize] * (2 if preprocessing.framing == "squash" else 1)
        steps += [v2.Resize(whole, how), v2.CenterCrop(side)]
        if recipe.crop_padding and recipe.crop == "random":
            steps.append(v2.RandomCrop(side, padding=recipe.crop_padding))
    else:
        steps.append(v2.RandomResizedCrop(side, interpolation=how))
    if recipe.flip:
        steps.append(v2.RandomHorizontalFlip(recipe.flip))
    if (policy := POLICIES.need(recipe.policy).make()) is not None:
        steps.append(policy)
    steps += [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    if preprocessing.channel_order == "bgr":
        steps.append(v2.Lambda(_reversed))
    if recipe.noise:
        steps.append(v2.GaussianNoise(sigma=recipe.noise))
    steps.append(v2.Normalize(list(preprocessing.mean), list(preprocessing.std)))
    if recipe.erasing:
        steps.append(v2.RandomErasing(recipe.erasing))
    return v2.Compose(steps)


def _reversed(pixels: Tensor) -> Tensor:
    """(C, S, S) with its channels in the other order."""
    return pixels.flip(0)
