"""Small trainings for tests: coloured squares, a network of eight layers, and what is equal about two runs."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from features.datasets import ImageSet
from features.networks import zoo
from features.networks.architecture import Architecture, cifar
from features.networks.canonical import build, freeze
from features.networks.card import ModelSpec
from features.networks.preprocessing import Preprocessing
from features.progress import finish
from features.train import augment, fit
from features.train.recipe import Recipe
from features.train.start import Start
from tests.random_networks import randomise

NAMES = ("cat", "dog", "fox")
BEGUN = Start(cifar(8), "CIFAR ResNet")
ONE_STEP = Recipe(epochs=1, batch_size=12, warmup_epochs=0, crop_padding=0, flip=0.0)
EVERYTHING = Recipe(
    epochs=2,
    batch_size=5,
    learning_rate=0.02,
    warmup_epochs=0.5,
    flip=0.5,
    erasing=0.3,
    noise=0.02,
    label_smoothing=0.1,
)


def squares(n_images: int = 12, side: int = 12, seed: int = 0) -> ImageSet:
    """Noisy squares of three classes in turn, each with a colour of its own; made in memory."""
    values = np.random.default_rng(seed).integers(0, 128, (n_images, side, side, 3), dtype=np.uint8)
    labels = np.arange(n_images, dtype=np.int64) % 3
    for index, label in enumerate(labels):
        values[index, :, :, label] += 127
    ids = tuple(f"{index}.png" for index in range(n_images))
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    return ImageSet("squares", ids, labels, NAMES, digest, lambda index: Image.fromarray(values[index]))


def trained(folder: Path, recipe: Recipe, name: str = "run.pt", **changed: object) -> fit.Training:
    """A finished run on 12 squares, tested on 6 others; its state lies at folder / name."""
    settings = {"images": squares(), "test_images": squares(6, seed=1), **changed}
    start = settings.pop("start", None) or Start(settings.pop("architecture", cifar(8)), "CIFAR ResNet")
    return finish(fit.fit(start, **settings, recipe=recipe, state_file=folder / name))


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    state = other.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in one.state_dict().items())


def without_seconds(training: fit.Training) -> list[dict[str, float]]:
    return [{key: value for key, value in point.items() if key != "seconds"} for point in training.curve]


def source(names: tuple[str, ...] = NAMES, architecture: Architecture | None = None, **told: object) -> zoo.Model:
    """A network with drawn weights and statistics, which fp16 would round, for squares of 12 px."""
    shape = architecture or cifar(8, classes=len(names))
    network = freeze(randomise(build(shape), seed=5))
    spec = ModelSpec(
        "drawn", "CIFAR ResNet", shape, Preprocessing(12, 12, (0.5,) * 3, (0.25,) * 3), names, "", "CC0", **told
    )
    return zoo.Model(network, spec, "0" * 64)


@contextmanager
def loading_here() -> Iterator[None]:
    """A training without processes that load its images: they take most of its time, and write nothing.

    What it learns is the same.
    """
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.setattr(
            augment, "DataLoader", lambda *given, **options: DataLoader(*given, **options | {"num_workers": 0})
        )
        yield
