"""What several tests need: a small network whose statistics are not the initial ones, and a few images on disk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from features import datasets
from features.networks import architecture, canonical, catalogue, zoo
from features.networks.card import ModelSpec
from tests.random_networks import drawn, randomise

# Small networks gain nothing from threads, and threads that wait for each other on busy cores lose a great deal.
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of a test stays in the user's cache, and nothing there changes a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", params=catalogue.TORCHVISION)
def torchvision_network(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    """(name, network): each classifier of torchvision's residual family in turn, drawn, in eval mode."""
    return request.param, drawn(models.get_model_builder(request.param))


@pytest.fixture
def randomised() -> Callable[..., nn.Module]:
    """randomised(module, seed=0): the module with drawn weights and statistics."""
    return randomise


@pytest.fixture
def tiny_model() -> zoo.Model:
    """A CIFAR ResNet of 8 layers with drawn weights and BatchNorm statistics: RGB, 32 px, 10 classes."""
    shape = architecture.cifar(8)
    net = canonical.freeze(randomise(canonical.build(shape)))
    names = tuple(f"class {number}" for number in range(10))
    spec = ModelSpec("tiny", "CIFAR ResNet", shape, catalogue.CIFAR_PREPROCESSING, names, "drawn", "none")
    return zoo.Model(net, spec, "0" * 64)


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    """A folder with 3 classes (cat, dog, fox) of 4 noisy PNGs each, every class with a colour of its own."""
    random = np.random.default_rng(0)
    root = tmp_path / "tiny"
    for label, name in enumerate(("cat", "dog", "fox")):
        (root / name).mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 128, (40, 36, 3), dtype=np.uint8)  # (H, W, 3)
            pixels[:, :, label] += 127
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def tiny_images(tiny_folder: Path) -> datasets.ImageSet:
    """The 12 images of `tiny_folder`, labelled by their folders, in the order cat, dog, fox."""
    return datasets.open_images(str(tiny_folder))


@pytest.fixture(scope="session")
def ray_workers() -> Iterator[Callable[[], list[int]]]:
    """A Ray cluster of two cores on this machine, one for all tests, since starting it takes seconds.

    It is told of a GPU that is not there. ray_workers(): the ids of its processes that work on parts.
    """
    ray = pytest.importorskip("ray", reason="an extra: requirements-ray.txt")
    psutil = pytest.importorskip("psutil")
    ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)

    def workers() -> list[int]:
        alive = [child for child in psutil.Process().children(recursive=True) if child.status() != "zombie"]
        return [child.pid for child in alive if "_Worker" in " ".join(child.cmdline())]

    yield workers
    ray.shutdown()
