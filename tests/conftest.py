"""What several tests need: a small network whose statistics are not the initial ones, and a few images on disk."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from features.networks import architecture, catalogue
from tests import slow

# PyTorch takes seconds to import, which workers wait for twice if the process that starts them imports it as well.
if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from features import datasets
    from features.networks import zoo

# A test that takes one of these as a parameter compiles for seconds, or computes with a very large network.
SLOW_CASES = {
    "umap", "openvino", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d",
    "wide_resnet50_2", "wide_resnet101_2",
}  # fmt: skip
LONGEST = ("ray", "browser", "openvino")  # groups of tests that one worker has to itself, with which workers begin


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` stands for: all processors that may be used, also where two of them share a core."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is slow by its parameters, or was measured to be; several workers begin with what is slow.

    Tests of one of torchvision's networks share a worker, which draws its weights once.
    """
    measured = slow.names()
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        named = any(isinstance(value, str) and value in SLOW_CASES for value in parameters.values())
        if named or item.nodeid.partition("[")[0] in measured:
            item.add_marker(pytest.mark.slow)
        if name := parameters.get("torchvision_network"):
            item.add_marker(pytest.mark.xdist_group(name))
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """What comes earlier has a smaller one: a long group that began last would leave the other workers idle."""
    group = item.get_closest_marker("xdist_group")
    if group is not None and group.args and group.args[0] in LONGEST:
        return LONGEST.index(group.args[0])
    return len(LONGEST) + (item.get_closest_marker("slow") is None)


@pytest.fixture
def random() -> "np.random.Generator":
    """Numbers that are the same whichever tests ran before: one generator for a module would be drawn from in turn."""
    import numpy as np

    return np.random.default_rng(0)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of a test stays in the user's cache or among what they keep, and nothing there changes a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small networks gain nothing from threads, and threads that wait on busy cores lose a great deal."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=catalogue.TORCHVISION)
def torchvision_network(request: pytest.FixtureRequest) -> "tuple[str, nn.Module]":
    """(name, network): each classifier of torchvision's residual family in turn, drawn, in eval mode."""
    from torchvision import models

    from tests.random_networks import drawn

    return request.param, drawn(models.get_model_builder(request.param))


@pytest.fixture
def randomised() -> "Callable[..., nn.Module]":
    """randomised(module, seed=0): the module with drawn weights and statistics."""
    from tests.random_networks import randomise

    return randomise


@pytest.fixture
def tiny_model() -> "zoo.Model":
    """A CIFAR ResNet of 8 layers with drawn weights and BatchNorm statistics: RGB, 32 px, 10 classes."""
    from features.networks import canonical, zoo
    from features.networks.card import ModelSpec
    from tests.random_networks import randomise

    shape = architecture.cifar(8)
    net = canonical.freeze(randomise(canonical.build(shape)))
    names = tuple(f"class {number}" for number in range(10))
    spec = ModelSpec("tiny", "CIFAR ResNet", shape, catalogue.CIFAR_PREPROCESSING, names, "drawn", "none")
    return zoo.Model(net, spec, "0" * 64)


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    """A folder with 3 classes (cat, dog, fox) of 4 noisy PNGs each, every class with a colour of its own."""
    import numpy as np
    from PIL import Image

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
def tiny_images(tiny_folder: Path) -> "datasets.ImageSet":
    """The 12 images of `tiny_folder`, labelled by their folders, in the order cat, dog, fox."""
    from features import datasets

    return datasets.open_images(str(tiny_folder))


@pytest.fixture(scope="session")
def ray_workers() -> Iterator[Callable[[], list[int]]]:
    """A Ray cluster of two cores on this machine, one for all tests, since starting it takes seconds.

    It is told of a GPU that is not there. ray_workers(): the ids of its processes that work on parts.
    """
    ray = pytest.importorskip("ray", reason="an extra: requirements-ray.txt")
    psutil = pytest.importorskip("psutil")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # a busy machine takes its time
    ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)

    def workers() -> list[int]:
        alive = [child for child in psutil.Process().children(recursive=True) if child.status() != "zombie"]
        return [child.pid for child in alive if "_Worker" in " ".join(child.cmdline())]

    yield workers
    ray.shutdown()
