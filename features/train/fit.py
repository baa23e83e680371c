"""Trains a residual network on an image set, reproducibly and resumably."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from features.datasets import ImageSet
from features.errors import FeatureError, ImageError
from features.networks.architecture import Architecture
from features.networks.canonical import ResidualNetwork, build, freeze
from features.networks.card import Outputs
from features.networks.preprocessing import Preprocessing
from features.progress import Progress, Task
from features.train import frozen
from features.train.export import read_state, write_state
from features.train.measuring import best_epoch, measured
from features.train.recipe import Recipe, completed
from features.train.schedules import share_of_peak
from features.train.sets import Sets, sets_of
from features.train.setup import Setup
from features.train.start import Start
from features.train.steps import Steps

TEST, HELD = "test image", "image held back"  # units of reports
Point = dict[str, float]


@dataclass(frozen=True, eq=False)
class Training:
    """A finished run: the network (frozen, in eval mode, on the CPU) and how it got there.

    outputs: what its logits say. curve: one dict per epoch: epoch, learning_rate, train_loss, train_accuracy, seconds,
    test_accuracy, and where images were held back held_back_loss and held_back_accuracy; accuracies only where there
    are labels. epoch: the one whose network it is, counted from 1. told: what became of the head of the network that it
    started from, or ''. untouched: the tensors that are as they were there.
    """

    network: ResidualNetwork
    architecture: Architecture
    preprocessing: Preprocessing
    recipe: Recipe
    curve: tuple[Point, ...]
    outputs: Outputs
    epoch: int
    told: str = ""
    untouched: frozenset[str] = frozenset()


def fit(start: Start, images: ImageSet, test_images: ImageSet, recipe: Recipe, state_file: Path) -> Task[Training]:
    """Train a network as a recipe says; reports after every batch.

    The architecture's classes are set to those of the images, and so are its input channels unless it starts from
    weights. The test images are counted after each epoch for the curve; nothing is chosen by them.
    state_file: where the run is kept after every epoch. If it is there the run goes on from it, and ends as a
    run that was never interrupted would.
    Raises FeatureError if the sets are too small, differ in classes or lack what the recipe's head learns, if the
    network lacks a part to freeze, if state_file is damaged or of another run, or if the loss stops being a number;
    ImageError if a training image cannot be read.
    """
    run = _Run(start, sets_of(images, test_images, recipe), recipe, state_file)
    run.resume()
    key = json.dumps(run.settings)
    kept = None if run.is_finished else (yield from frozen.kept(run.setup, key, state_file))
    if kept is not None:
        run.parts.begin_behind()
    while not run.is_finished:
        epoch = len(run.curve)
        point = yield from run.train_epoch(run.setup.loader(epoch, kept), epoch)
        point |= yield from run.measured(epoch)
        run.curve.append(point)
        run.keep()
    frozen.forget(key, state_file)
    return run.result()


class _Run:
    """A run under way: what it was set up with, how it steps, its curve, and their copy on disk."""

    def __init__(self, start: Start, sets: Sets, recipe: Recipe, path: Path) -> None:
        self.start, self.sets, self.recipe, self.path = start, sets, recipe, path
        self.setup = Setup.of(start, sets, recipe)
        self.parts, self.learner = self.setup.parts, self.setup.learner
        per_epoch = math.ceil(len(self.setup.sizes) / recipe.accumulate)
        self.steps = Steps(self.parts, self.learner, recipe, lambda step: share_of_peak(step, per_epoch, recipe))
        self.curve: list[Point] = []
        self.best: dict[str, Tensor] = {}
        settings = {
            "recipe": recipe.settings(),
            "architecture": self.setup.architecture.settings(),
            "images": sets.given.digest,
            "test_images": None if sets.tested is None else sets.tested.digest,
            **({"from": start.key} if start.key else {}),
        }
        self.settings = json.loads(json.dumps(settings))

    @property
    def is_finished(self) -> bool:
        waited = len(self.curve) - best_epoch(self.curve) if self.recipe.patience else -1
        return len(self.curve) >= self.recipe.epochs or waited >= max(self.recipe.patience, 1)

    def train_epoch(self, loader: DataLoader, epoch: int) -> Task[Point]:
        began = time.monotonic()
        total_loss, right, seen = 0.0, 0, 0
        self.parts.prepare(epoch)
        self.learner.train()
        for number, (pixels, targets) in enumerate(readable(loader)):
            goal, size = self.setup.goal(pixels, targets, epoch, number), len(targets)
            if not math.isfinite(value := goal.loss.item()):
                kept = f" What was learned up to epoch {epoch} is kept in {self.path}." if epoch else ""
                raise FeatureError(
                    f"The loss is {value} in epoch {epoch + 1}, and nothing can be learned. Lower the learning rate."
                    f"{kept}"
                )
            first = number - number % self.recipe.accumulate
            together = self.setup.sizes[first : first + self.recipe.accumulate]
            self.steps.backward(goal.loss, size / sum(together))
            if number - first + 1 == len(together):
                self.steps.step()
            total_loss += value * size
            right += goal.right or 0
            seen += size
            note = f"epoch {epoch + 1} of {self.recipe.epochs}, loss {total_loss / seen:.3f}"
            yield Progress(epoch * len(loader) + number + 1, self.recipe.epochs * len(loader), "batch", note)
        return {
            "epoch": epoch + 1,
            "learning_rate": self.steps.learning_rate,
            "train_loss": total_loss / seen,
            **({"train_accuracy": right / seen} if self.setup.objective.labels else {}),
            "seconds": time.monotonic() - began,
        }

    def measured(self, epoch: int) -> Task[Point]:
        """What the epoch's network makes of the images held back, and of the test images."""
        point: Point = {}
        head, sees, note = self.setup.head, self.setup.preprocessing, f"epoch {epoch + 1} of {self.recipe.epochs}"
        with self.steps.at_rest() as network:
            if head is not None and self.sets.held is not None:
                told = yield from measured(network, sees, head, self.sets.held, HELD, note)
                point |= {"held_back_loss": told.loss, "held_back_accuracy": told.accuracy}
                if best_epoch([*self.curve, point]) == epoch + 1:
                    self.best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
            if head is not None and self.sets.test is not None:
                told = yield from measured(network, sees, head, self.sets.test, TEST, note)
                point["test_accuracy"] = told.accuracy
        return point

    def resume(self) -> None:
        """Go on from the state on disk if there is one."""
        if not self.path.exists():
            return
        state = read_state(self.path)
        old = json.loads(state["settings"])
        if _whole(old) != _whole(self.settings):
            raise FeatureError(
                f"{self.path} is of a run with other settings: {_differences(_whole(old), _whole(self.settings))}. "
                "Use the same settings to go on with it, or delete it to start anew."
            )
        self.parts.network.load_state_dict(state["network"])
        self.steps.load_state_dict(state)
        self.learner.load_state_dict(state.get("learner", {}))
        self.best = state.get("best", {})
        self.curve = state["curve"]

    def keep(self) -> None:
        """Write the state to disk, whole or not at all."""
        state: dict[str, Any] = {
            "network": self.parts.network.state_dict(),
            **self.steps.state_dict(),
            "settings": json.dumps(self.settings),
            "curve": self.curve,
        }
        state |= {"best": self.best} if self.best else {}
        state |= {"learner": learner} if (learner := self.learner.state_dict()) else {}
        write_state(self.path, state)

    def result(self) -> Training:
        """The network that is kept, and its curve."""
        epoch = best_epoch(self.curve) if self.recipe.keep == "best" else len(self.curve)
        with self.steps.at_rest() as network:
            state = self.best if self.recipe.keep == "best" else network.state_dict()
            kept = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        with torch.device("meta"):
            made = build(self.setup.architecture)
        made.load_state_dict(kept, assign=True)
        return Training(
            freeze(made),
            self.setup.architecture,
            self.setup.preprocessing,
            self.recipe,
            tuple(self.curve),
            Outputs.MULTICLASS if self.setup.head is None else self.setup.head.outputs,
            epoch,
            self.setup.told,
            frozenset(self.parts.untouched(len(self.curve)) if self.start.source is not None else ()),
        )


def readable(loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """The loader's batches. An image that cannot be read is named as it is elsewhere, without the worker's trace."""
    try:
        yield from loader
    except ImageError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("features.errors.ImageError: ")
        raise ImageError(f"{reason} Mend it or take it out, and run the same command again.") from error


def _whole(settings: dict[str, Any]) -> dict[str, Any]:
    """A run's settings with those that are as by default."""
    return {"from": None, **settings, "recipe": completed(settings["recipe"])}


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    differences = [
        f"{name} was {old[part].get(name)!r} and is {new[part].get(name)!r}"
        for part in ("architecture", "recipe")
        for name in old[part] | new[part]
        if old[part].get(name) != new[part].get(name)
    ]
    if old["from"] != new["from"]:
        differences.append("it starts from other weights")
    if old["images"] != new["images"]:
        differences.append("the training images are others, or were written again")
    if old.get("test_images") != new["test_images"]:
        differences.append("the test images are others, or were written again")
    return "; ".join(differences)
