"""Times the features of ResNet-50's four stages, pooled: this project beside torchvision's own extractor.

    python benchmarks/extract.py [--model resnet50] [--batch 16] [--rounds 7]

Weights are drawn, which changes no time. In every round each contestant reads one batch, so that all feel the same
neighbours on a shared machine; images/s are of the median round, and ratios are medians of ratios within a round.
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from features import engine
from features.network import canonical, freeze

BASE = "torchvision's extractor, fp32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    source = drawn(options.model)
    pixels = torch.randn(options.batch, 3, 224, 224)
    contestants = contenders(source)
    wanted = contestants[BASE](pixels)
    for name, read in contestants.items():
        print(f"{name:45s} {likeness(read(pixels), wanted)}", flush=True)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(options.rounds):
        for name, read in contestants.items():
            began = time.perf_counter()
            read(pixels)
            times[name].append(time.perf_counter() - began)
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    print(f"\n{platform.machine()}, {torch.get_num_threads()} threads, {versions}")
    print(f"{options.model}, batch {options.batch}, {options.rounds} rounds")
    for name, spent in times.items():
        ratio = statistics.median(base / own for base, own in zip(times[BASE], spent, strict=True))
        print(f"{name:45s} {options.batch / statistics.median(spent):7.1f} images/s   {ratio:.2f} x")


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


def contenders(source: nn.Module) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
    network = freeze(canonical(source))
    extractor = create_feature_extractor(source, {name: name for name in network.stage_names})

    @torch.inference_mode()
    def theirs(pixels: Tensor) -> dict[str, Tensor]:
        return {name: values.mean((2, 3)) for name, values in extractor(pixels).items()}

    @torch.inference_mode()
    def exact(pixels: Tensor) -> dict[str, Tensor]:
        return {name: values.mean((2, 3)) for name, values in network.walk(pixels) if name in network.stage_names}

    found: dict[str, Callable[[Tensor], dict[str, Tensor]]] = {BASE: theirs, "canonical network, fp32": exact}
    for precision in ("fp32", "bf16"):
        runner = engine.TorchEngine(network, engine.choose(network, precision=precision, device="cpu"))

        @torch.inference_mode()
        def bare(pixels: Tensor, runner: engine.TorchEngine = runner) -> dict[str, Tensor]:
            """The same network without reading anything off it."""
            for _ in runner.network.walk(pixels.to(runner.dtype, memory_format=torch.channels_last)):
                pass
            return {}

        def ours(pixels: Tensor, runner: engine.TorchEngine = runner) -> dict[str, Tensor]:
            return {name: torch.from_numpy(values) for name, values in runner(pixels).items()}

        found |= {f"this project's engine, {precision}": ours, f"its bare forward, {precision}": bare}
    return found


def likeness(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> str:
    if not found:
        return ""
    errors = [float((found[name] - wanted[name]).norm() / wanted[name].norm()) for name in wanted]
    cosines = [float(torch.cosine_similarity(found[name], wanted[name]).min()) for name in wanted]
    return f"relative error {max(errors):.1e}, smallest cosine {min(cosines):.6f}"


if __name__ == "__main__":
    main()
