"""Trains a residual network on an image set, reproducibly and resumably."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from features.datasets import ImageSet
from features.datasets.decoding import batches
from features.devices import best_device
from features.errors import FeatureError, ImageError
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork, build, freeze
from features.networks.preprocessing import Preprocessing
from features.progress import Progress, Task
from features.train import augment
from features.train.export import read_state, write_state
from features.train.optimizers import OPTIMIZERS
from features.train.recipe import Recipe

TEST_BATCH = 500


@dataclass(frozen=True, eq=False)
class Training:
    """A finished run: the network (frozen, in eval mode, on the CPU) and how it got there.

    curve: one dict per epoch: epoch, learning_rate, train_loss, train_accuracy, test_accuracy, seconds.
    """

    network: ResidualNetwork
    architecture: Architecture
    preprocessing: Preprocessing
    recipe: Recipe
    curve: tuple[dict[str, float], ...]


def fit(
    architecture: Architecture, images: ImageSet, test_images: ImageSet, recipe: Recipe, state_file: Path
) -> Task[Training]:
    """Train with cross-entropy; reports after every batch, returns the last epoch's network.

    The architecture's classes and input channels are set to those of the images. The test images are counted
    after each epoch for the curve; nothing is chosen by them.
    state_file: where the run is kept after every epoch. If it is there the run goes on from it, and ends as a
    run that was never interrupted would.
    Raises FeatureError if the sets are unlabelled, too small or differ in classes, if state_file is damaged or
    of another run, or if the loss stops being a number; ImageError if a training image cannot be read.
    """
    _labels_of(images), _labels_of(test_images)
    if len(images.class_names) < 2:
        raise FeatureError(
            f"Training needs at least 2 classes to tell apart, but {images.name} has {len(images.class_names)}."
        )
    if images.class_names != test_images.class_names:
        raise FeatureError(
            f"Training and test images must have the same classes, but {images.name} has {len(images.class_names)} "
            f"({', '.join(images.class_names[:4])}, ...) and {test_images.name} {len(test_images.class_names)} "
            f"({', '.join(test_images.class_names[:4])}, ...)."
        )
    if images.digest == test_images.digest:
        raise FeatureError(
            f"{images.name} was given to learn from and to be tested with. Hold images back, and name them as the test."
        )
    if len(images) < 2 or not len(test_images):
        raise FeatureError(
            f"Training needs at least 2 images to learn from and 1 to test with, but {images.name} has {len(images)} "
            f"and {test_images.name} {len(test_images)}."
        )
    preprocessing = augment.measure(images)
    architecture = replace(architecture, classes=len(images.class_names), in_channels=preprocessing.channels)
    run = _Run(architecture, preprocessing, recipe, images, test_images, state_file)
    run.resume()
    for epoch in range(len(run.curve), recipe.epochs):
        point = yield from run.train_epoch(augment.loader(images, preprocessing, recipe, epoch), epoch)
        point["test_accuracy"] = yield from run.count_correct(test_images, epoch)
        run.curve.append(point)
        run.keep()
    network = freeze(run.network.cpu())
    return Training(network, architecture, preprocessing, recipe, tuple(run.curve))


def _labels_of(images: ImageSet) -> np.ndarray:
    if images.label_sets is not None:
        raise FeatureError(
            f"{images.name} has any number of labels an image, and training teaches one class an image. Give a list "
            "with one label each (--label-column names its column)."
        )
    if images.labels is None:
        raise FeatureError(f"{images.name} has no labels to learn from. Put the images into one folder per class.")
    return images.labels


class _Run:
    """A run under way: network, optimizer, schedule and curve, and their copy on disk."""

    def __init__(
        self,
        architecture: Architecture,
        preprocessing: Preprocessing,
        recipe: Recipe,
        images: ImageSet,
        test_images: ImageSet,
        path: Path,
    ) -> None:
        self.recipe, self.preprocessing, self.path = recipe, preprocessing, path
        self.device = best_device()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(recipe.seed)  # torch.manual_seed would reseed GPUs as well
            network = build(architecture)
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.optimizer = OPTIMIZERS.need(recipe.optimizer).make(self.network, recipe)
        full, rest = divmod(len(images), recipe.batch_size)
        steps = full + (rest > 1)  # as many as augment.loader gives
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: learning_rate_share(step, steps, recipe)
        )
        self.curve: list[dict[str, float]] = []
        settings = {
            "recipe": asdict(recipe),
            "architecture": architecture.settings(),
            "images": images.digest,
            "test_images": test_images.digest,
        }
        self.settings = json.loads(json.dumps(settings))

    def train_epoch(self, loader: DataLoader, epoch: int) -> Task[dict[str, float]]:
        began = time.monotonic()
        total_loss, correct, seen = 0.0, 0, 0
        self.network.train()
        for done, (pixels, labels) in enumerate(_readable(loader), start=1):
            pixels = pixels.to(self.device, memory_format=torch.channels_last, non_blocking=True)
            labels = labels.to(self.device, non_blocking=True)  # (N,)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
                logits = self.network(pixels).float()  # (N, K)
            loss = nn.functional.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
            if not math.isfinite(value := loss.item()):
                raise FeatureError(
                    f"The loss is {value} in epoch {epoch + 1}, and nothing can be learned. Lower the learning rate."
                )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            total_loss += value * len(labels)
            correct += int((logits.argmax(1) == labels).sum())
            seen += len(labels)
            note = f"epoch {epoch + 1} of {self.recipe.epochs}, loss {total_loss / seen:.3f}"
            yield Progress(epoch * len(loader) + done, self.recipe.epochs * len(loader), "batch", note)
        return {
            "epoch": epoch + 1,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "train_loss": total_loss / seen,
            "train_accuracy": correct / seen,
            "seconds": time.monotonic() - began,
        }

    def count_correct(self, images: ImageSet, epoch: int) -> Task[float]:
        """The share of images that are classified correctly in fp32; one that cannot be read is not correct."""
        self.network.eval()
        labels = _labels_of(images)
        correct = seen = 0
        with closing(batches(images, self.preprocessing, TEST_BATCH, device=str(self.device))) as stream:
            for batch in stream:
                with torch.inference_mode():
                    pixels = self.preprocessing.scaled(batch.pixels.to(self.device))  # (N, C, S, S)
                    predicted = self.network(pixels).argmax(1).cpu().numpy()  # (N,)
                correct += int((predicted == labels[batch.rows]).sum())
                seen += batch.seen
                yield Progress(seen, len(images), "test image", f"epoch {epoch + 1} of {self.recipe.epochs}")
        return correct / len(images)

    def resume(self) -> None:
        """Go on from the state on disk if there is one."""
        if not self.path.exists():
            return
        state = read_state(self.path)
        old = json.loads(state["settings"])
        if old != self.settings:
            raise FeatureError(
                f"{self.path} is of a run with other settings: {_differences(old, self.settings)}. "
                "Use the same settings to go on with it, or delete it to start anew."
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.curve = state["curve"]

    def keep(self) -> None:
        """Write the state to disk, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "settings": json.dumps(self.settings),
            "curve": self.curve,
        }
        write_state(self.path, state)


def _readable(loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """The loader's batches. An image that cannot be read is named as it is elsewhere, without the worker's trace."""
    try:
        yield from loader
    except ImageError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("features.errors.ImageError: ")
        raise ImageError(f"{reason} Mend it or take it out, and run the same command again.") from error


def learning_rate_share(step: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """The learning rate as a share of its peak: a linear warm-up, then half a cosine down to zero."""
    warmup = recipe.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    total = recipe.epochs * steps_per_epoch
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    differences = [
        f"{name} was {old[part].get(name)!r} and is {new[part].get(name)!r}"
        for part in ("architecture", "recipe")
        for name in old[part] | new[part]
        if old[part].get(name) != new[part].get(name)
    ]
    if old["images"] != new["images"]:
        differences.append("the training images are others, or were written again")
    if old.get("test_images") != new["test_images"]:
        differences.append("the test images are others, or were written again")
    return "; ".join(differences)
