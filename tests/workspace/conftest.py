"""A small workspace on images and weights of one test."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.datasets import ImageSet, open_images
from features.selection import Selection
from features.workspace import Chosen, Images, Network, Shelf, View, Workspace


@dataclass(frozen=True)
class World:
    folder: Path
    weights: Path
    workspace: Workspace

    @property
    def images(self) -> ImageSet:
        return open_images(str(self.folder))


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder, weights = tmp_path / "here" / "set", tmp_path / "here" / "net.safetensors"
    for number in range(6):
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "ab"[number % 2] / f"{number}.png")
    weights.write_bytes(b"weights")
    images = open_images(str(folder))
    odd = Selection(images.digest, np.array([1, 4]), 6)
    at_variance = {"residual view": ["variance"], "folder": [str(folder)], "of": ["2 selected"]}
    workspace = Workspace(
        "My work",
        Network(str(weights), "f" * 64),
        Images(str(folder), images.name, images.digest, 6),
        [Chosen("odd ones", [1, 4]), Chosen("first", [0])],
        [
            View("residual", {**at_variance, "selection": [odd.key]}, "Variance", selection="odd ones"),
            View("compare", {"compared": ["resnet20-fashion", "plain20-fashion"]}, "Both", "Beside each other"),
        ],
        note="To be looked at again.",
    )  # fmt: skip
    return World(folder, weights, workspace)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "kept" / "workspaces")
