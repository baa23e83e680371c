"""What is run on the device: networks, pictures, JPEG files; and what a run must know of the machine."""

import copy
import io
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.pool import Pool
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from features.datasets import ImageSet
from features.datasets.images import decode
from features.networks import catalogue, zoo
from features.networks.canonical import canonical, freeze, own_copy
from features.saliency import Explainer

HEIGHT, WIDTH = 375, 500
DISTINCT = 50  # pictures, under as many names as are asked for


@dataclass(frozen=True)
class Scale:
    """How large everything is. device: 'cuda' or 'cpu', which stands in to try the script out."""

    device: str
    large: str = "resnet50"
    side: int = 224
    batches: tuple[int, ...] = (64, 256)
    jpegs: int = 2000
    images: int = 8  # of the analyses that are compared
    rounds: int = 5
    turn: float = 0.1  # seconds of a contestant's turn
    bundled: tuple[str, ...] = ("resnet20-fashion", "resnet56-fashion", "plain20-fashion")
    small: str = "resnet56-fashion"  # whose kernels are shorter than their starts
    small_batches: tuple[int, ...] = (1, 256)

    @property
    def is_gpu(self) -> bool:
        return self.device == "cuda"

    @classmethod
    def tiny(cls, device: str) -> "Scale":
        bundled = ("resnet20-fashion", "plain20-fashion")
        return cls(device, "resnet18", 64, (2, 4), 20, 2, 1, 0.01, bundled, bundled[0], (1, 2))


def machine(device: str) -> dict[str, Any]:
    """What figures belong to."""
    found: dict[str, Any] = {
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
        "cudnn": torch.backends.cudnn.version(),
        "cuda": torch.version.cuda,
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found |= {
            "gpu": properties.name,
            "capability": ".".join(map(str, torch.cuda.get_device_capability(0))),
            "gpu_memory_gib": round(properties.total_memory / 2**30, 1),
            "multiprocessors": properties.multi_processor_count,
            "driver": driver(),
        }
    return found


def driver() -> str:
    with suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
        return text.splitlines()[0].strip()
    return "not told"


# --- time -------------------------------------------------------------------------------------------------------------


def wait(device: str) -> None:
    """Until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def timed(contestants: Mapping[str, Callable[[], object]], scale: Scale) -> dict[str, list[float]]:
    """Seconds of one call of every contestant in every round, in which each has one turn of several calls.

    The device is waited for before and after a turn, whose calls follow each other without waiting: the clock so covers
    kernels on every stream and what the host does beside them.
    """
    calls = {}
    for name, run in contestants.items():
        run()
        wait(scale.device)
        began = time.perf_counter()
        run()
        wait(scale.device)
        calls[name] = int(np.clip(scale.turn / (time.perf_counter() - began), 1, 200))
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(scale.rounds):
        for name, run in contestants.items():
            began = time.perf_counter()
            for _ in range(calls[name]):
                run()
            wait(scale.device)
            times[name].append((time.perf_counter() - began) / calls[name])
    return times


def ratio(times: Mapping[str, Sequence[float]], name: str, base: str) -> float:
    """The median over rounds of one contestant's time over another's."""
    return median(own / other for own, other in zip(times[name], times[base], strict=True))


@contextmanager
def tf32(allowed: bool):
    """Let float32 convolutions and products round their factors to 10 bits, or not."""
    cudnn, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = cudnn, products


# --- networks ---------------------------------------------------------------------------------------------------------


@cache
def drawn(name: str, side: int) -> nn.Module:
    """torchvision's network with drawn weights, whose BatchNorms know the statistics of what comes to them.

    As in trained networks, branches are small beside their shortcuts (|F| / |x| about 0.3): where they are as large,
    every ReLU that rounding opens or closes changes all that follows, and maps in float32 differ by percents.
    """
    torch.manual_seed(0)
    network = torchvision.models.get_model(name).train()
    blocks = (module for module in network.modules() if hasattr(module, "downsample"))
    last = {id(block.bn3 if hasattr(block, "bn3") else block.bn2) for block in blocks}
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(*((0.1, 0.3) if id(module) in last else (0.5, 1.0)))
            module.bias.data.normal_(0, 0.1)
            module.momentum = 1.0  # the statistics are those of one batch
    with torch.no_grad():
        network(catalogue.IMAGENET_PREPROCESSING.scaled(pixels_of(16, side)))
    return network.eval().requires_grad_(False)


@cache
def model_of(source: nn.Module, name: str, side: int) -> zoo.Model:
    """A torchvision network as this project knows it, on the CPU."""
    spec = catalogue.spec(f"{name}-v1")
    framing = replace(spec.preprocessing, resize=side * 8 // 7, crop=side)
    return zoo.Model(freeze(canonical(copy.deepcopy(source).cpu())), replace(spec, preprocessing=framing), "0" * 64)


def on(model: zoo.Model, device: str) -> zoo.Model:
    """The same network on a device."""
    return replace(model, network=own_copy(model.network, device))


# --- pictures ---------------------------------------------------------------------------------------------------------


def photograph(index: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(H, W, 3) uint8 noise with a photograph's spectrum."""
    random = np.random.default_rng(index)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]) + 1 / width
    spectrum = np.fft.rfft2(random.normal(size=(3, height, width))) / frequency**1.2
    values = np.fft.irfft2(spectrum, (height, width))
    values = 128 + 50 * values / values.std()
    return values.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


@cache
def explainer_of(model: zoo.Model, precision: str) -> Explainer:
    return Explainer(model, precision)


@cache
def pixels_of(number: int, side: int) -> Tensor:
    """(N, 3, S, S) uint8 of at most 32 different photographs."""
    different = [photograph(index, side, side).transpose(2, 0, 1) for index in range(min(32, number))]
    return torch.from_numpy(np.stack([different[index % len(different)] for index in range(number)]))


def image_set(number: int, side: int, class_names: Sequence[str]) -> ImageSet:
    """Labelled pictures in memory, of the network's first ten classes."""
    values = [photograph(index, side, side) for index in range(number)]
    names = tuple(class_names[:10])
    ids = tuple(f"{index}.png" for index in range(number))
    labels = np.arange(number) % len(names)
    return ImageSet("noise", ids, labels, names, "0" * 64, lambda index: Image.fromarray(values[index]))


def jpeg(index: int) -> bytes:
    held = io.BytesIO()
    Image.fromarray(photograph(index)).save(held, "JPEG", quality=92)
    return held.getvalue()


def jpegs(folder: Path, number: int, pool: Pool) -> int:
    """JPEG files of 500 x 375 pixels, as ImageNet's usually are; returns their bytes on average."""
    folder.mkdir(parents=True)
    different = pool.map(jpeg, range(min(DISTINCT, number)), 1)
    for index in range(number):
        (folder / f"{index:05d}.jpg").write_bytes(different[index % len(different)])
    return sum(map(len, different)) // len(different)


def decoded(paths: Sequence[Path]) -> int:
    """Read and frame some files as the project does; returns how many."""
    for path in paths:
        catalogue.IMAGENET_PREPROCESSING.framed(decode(path.read_bytes(), path.name))
    return len(paths)
