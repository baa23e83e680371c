"""Turns an image set into augmented training batches, the same ones whenever they are asked for."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from features.datasets import ImageSet
from features.networks.preprocessing import Preprocessing
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


class _Augmented(Dataset):
    """Pixels after augmentation, with their labels; the draw depends on seed, epoch and image alone."""

    def __init__(self, images: ImageSet, transform: v2.Compose, seed: int, epoch: int) -> None:
        self.images, self.transform = images, transform
        self.seed, self.epoch = seed, epoch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        # Seeded per image, so that the number of workers and a restart change nothing. Only worker processes run
        # this (see loader), so no generator of the caller's is touched.
        draw = (self.seed * 10_007 + self.epoch) * 100_000_007 + index
        torch.default_generator.manual_seed(draw % 2**63)  # which is as much as a generator takes
        labels = self.images.labels
        assert labels is not None
        return self.transform(self.images.open(index)), int(labels[index])


def loader(images: ImageSet, preprocessing: Preprocessing, recipe: Recipe, epoch: int) -> DataLoader:
    """Shuffled, augmented batches of one epoch: pixels (N, C, S, S) and labels (N,).

    They are fixed by the recipe's seed and the epoch, whatever the number of workers. A single image that is
    left over is left out: BatchNorm cannot normalise one value per channel.
    """
    return DataLoader(
        _Augmented(images, augmentation(preprocessing, recipe), recipe.seed, epoch),
        batch_size=recipe.batch_size,
        shuffle=True,
        drop_last=len(images) % recipe.batch_size == 1,
        num_workers=recipe.workers,
        generator=torch.Generator().manual_seed(recipe.seed * 10_007 + epoch),
        pin_memory=torch.cuda.is_available(),
    )


def augmentation(preprocessing: Preprocessing, recipe: Recipe) -> v2.Compose:
    """The random transform of a recipe, from a picture to a normalised (C, S, S) tensor."""
    side = preprocessing.crop
    steps: list[nn.Module] = [v2.Grayscale()] if preprocessing.channels == 1 else []
    if side <= SMALL:
        steps += [v2.Resize(preprocessing.resize), v2.CenterCrop(side)]
        if recipe.crop_padding:
            steps.append(v2.RandomCrop(side, padding=recipe.crop_padding))
    else:
        steps.append(v2.RandomResizedCrop(side))
    if recipe.flip:
        steps.append(v2.RandomHorizontalFlip(recipe.flip))
    steps += [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    if recipe.noise:
        steps.append(v2.GaussianNoise(sigma=recipe.noise))
    steps.append(v2.Normalize(list(preprocessing.mean), list(preprocessing.std)))
    if recipe.erasing:
        steps.append(v2.RandomErasing(recipe.erasing))
    return v2.Compose(steps)
