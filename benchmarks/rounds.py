"""What the benchmarks of networks share: a drawn network, a line on the machine, and contestants timed side by side."""

import platform
import time
from collections.abc import Callable, Mapping

import torch
import torchvision
from torch import nn


def machine() -> str:
    """The processor, threads and versions that figures belong to."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    processor = f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}"
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor}, {torch.get_num_threads()} threads{gpu}, {versions}"


def precisions(device: str = "cpu") -> tuple[str, ...]:
    """What is worth timing on a device: bf16 where it is faster than fp32."""
    from features.engine import has_fast_bf16  # found once the benchmark has said where

    return ("fp32", "bf16") if has_fast_bf16(torch.device(device)) else ("fp32",)


def drawn(name: str) -> nn.Module:
    """torchvision's network with weights and BatchNorm statistics that keep activations of ordinary size."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(name).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.0)
    return network


def drawn_pixels(batch: int) -> torch.Tensor:
    return torch.randint(0, 256, (batch, 3, 224, 224), dtype=torch.uint8)


def timed(
    contestants: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of every contestant in every round, in which each has one turn and feels the same neighbours."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            began = clock()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(clock() - began)
    return times
