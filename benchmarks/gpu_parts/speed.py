"""How fast features and maps are made, beside torchvision's bare forward pass."""

import copy
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from statistics import median

import torch
from gpu_parts.report import SKIP, Report
from gpu_parts.subjects import Scale, decoded, drawn, explainer_of, model_of, on, pixels_of, ratio, tf32, timed, wait
from torch import Tensor, nn

from features import datasets, engine, extract
from features.datasets.decoding import batches
from features.engine import fusing
from features.engine.convolution import Convolution
from features.engine.cuda_graphs import CudaGraphEngine, Outputs, obstacle
from features.engine.fast_network import FastNetwork
from features.engine.plan import PRECISIONS, Plan
from features.networks import catalogue, zoo
from features.progress import finish
from features.saliency import BRANCHES, ClassTarget, Tap

BASE = "torchvision's bare forward"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
AHEAD = 2  # batches that an engine holds
SHARE = 0.9  # aimed at
COPIES = 4  # of every file, for a set at which the time to begin and end counts for less

Contestant = Callable[[], object]


# --- the network alone ------------------------------------------------------------------------------------------------


def extraction(report: Report, scale: Scale) -> None:
    """Features from pixels on the host or on the device, beside torchvision's forward on scaled pixels there."""
    source = drawn(scale.large, scale.side)
    model = model_of(source, scale.large, scale.side)
    with report.guarded("fused operations"):
        fusions(report, model, scale)
    for precision in reversed(DTYPES):
        for batch in scale.batches:
            with report.guarded(f"batch {batch}, {precision}"):
                race(report, contestants(source, model, batch, precision, scale), batch, precision, scale)
    with report.guarded("TF32"), tf32(True):
        batch = scale.batches[-1]
        found = {BASE: torchvision_forward(source, batch, "fp32", scale)}
        found["fast network's forward"] = forward(torch_engine(model, "fp32", scale), pixels_of(batch, scale.side))
        race(report, found, batch, "TF32", scale)
    small = zoo.load(scale.small)
    for batch in scale.small_batches:
        with report.guarded(f"{scale.small}, batch {batch}"):
            pixels = torch.randint(0, 256, (batch, 1, 32, 32), dtype=torch.uint8)
            found = {BASE: canonical_forward(small, pixels, scale)}
            found |= engines(small, pixels, "fp32", scale)
            race(report, found, batch, f"{scale.small}, fp32", scale)


def race(report: Report, found: dict[str, Contestant], batch: int, title: str, scale: Scale) -> None:
    running = {}
    for name, run in found.items():
        with report.guarded(f"{title}, batch {batch}: {name}"):
            run()
            wait(scale.device)
            running[name] = run
    times = timed(running, scale)
    for name, spent in times.items():
        report.add(
            f"{title}, batch {batch}: {name}",
            images_per_second=batch / median(spent),
            ms=1000 * median(spent),
            beside_torchvision=1 / ratio(times, name, BASE),
        )


def contestants(source: nn.Module, model: zoo.Model, batch: int, precision: str, scale: Scale) -> dict[str, Contestant]:
    pixels = pixels_of(batch, scale.side)
    found: dict[str, Contestant] = {BASE: torchvision_forward(source, batch, precision, scale)}
    found |= engines(model, pixels, precision, scale)
    runner = torch_engine(model, precision, scale)
    if scale.is_gpu:
        plain = copy.deepcopy(runner.network)
        fusing.unfuse(plain)
        found["fast network's forward, not fused"] = network_forward(plain, pixels, scale)
    return found


def engines(model: zoo.Model, pixels: Tensor, precision: str, scale: Scale) -> dict[str, Contestant]:
    eager = torch_engine(model, precision, scale)
    found = {"fast network's forward": forward(eager, pixels), "torch engine, from the host": ahead(eager, pixels)}
    if not obstacle(scale.device):
        graphs = graph_engine(model, precision, scale)
        graphs(pixels), graphs(pixels)
        captured = graphs._graphs[tuple(pixels.shape)]
        found["CUDA graph's replay"] = captured.graph.replay
        found["CUDA graphs, from the host"] = ahead(graphs, pixels)
        found["CUDA graphs, one at a time"] = lambda: graphs(pixels)
    found["torch engine, one at a time"] = lambda: eager(pixels)
    return found


def eager_plan(model: zoo.Model, precision: str, scale: Scale):
    return engine.choose(model.network, precision=precision, device=scale.device, engine=engine.TORCH)


@cache
def graph_engine(model: zoo.Model, precision: str, scale: Scale) -> CudaGraphEngine:
    return CudaGraphEngine(model.network, model.spec.preprocessing, eager_plan(model, precision, scale))


@cache
def torch_engine(model: zoo.Model, precision: str, scale: Scale) -> engine.TorchEngine:
    return engine.TorchEngine(model.network, model.spec.preprocessing, eager_plan(model, precision, scale))


def torchvision_forward(source: nn.Module, batch: int, precision: str, scale: Scale) -> Contestant:
    """Eager, channels last, on scaled pixels of its precision that lie on the device."""
    dtype = DTYPES[precision]
    network = copy.deepcopy(source).to(scale.device, dtype).to(memory_format=torch.channels_last)
    scaled = catalogue.IMAGENET_PREPROCESSING.scaled(pixels_of(batch, scale.side))
    scaled = scaled.to(scale.device, dtype).to(memory_format=torch.channels_last)
    return inference(network, scaled)


def canonical_forward(model: zoo.Model, pixels: Tensor, scale: Scale) -> Contestant:
    """The network as it was loaded, which is torchvision's but for its names."""
    network = on(model, scale.device).network.to(memory_format=torch.channels_last)
    scaled = model.spec.preprocessing.scaled(pixels).to(scale.device, memory_format=torch.channels_last)
    return inference(network, scaled)


def inference(network: Callable[[Tensor], object], x: Tensor) -> Contestant:
    @torch.inference_mode()
    def run() -> object:
        return network(x)

    return run


def forward(runner: engine.TorchEngine, pixels: Tensor) -> Contestant:
    """The engine's network on pixels that lie on its device; every stage's mean is taken."""
    return network_forward(runner.network, pixels, Scale(runner.device.type))


def ahead(runner: engine.TorchEngine, pixels: Tensor) -> Contestant:
    """One more batch handed over, and one that was handed over before taken back: as extraction does."""
    begun: list[Callable[[], object]] = []

    def run() -> None:
        begun.append(runner.begin(pixels))
        if len(begun) >= AHEAD:
            begun.pop(0)()

    return run


def network_forward(network: FastNetwork, pixels: Tensor, scale: Scale) -> Contestant:
    there = pixels.to(scale.device, memory_format=torch.channels_last)
    return inference(Outputs(network, network.stage_names, "mean"), there)


def fusions(report: Report, model: zoo.Model, scale: Scale) -> None:
    """What fused operations can do here, how they change what a network says, and what they gain."""
    if not scale.is_gpu:
        report.add("fused operations", SKIP, "no CUDA device")
        return
    batch, device = scale.batches[-1], torch.device("cuda", torch.cuda.current_device())
    pixels = pixels_of(batch, scale.side)
    there = pixels.to(scale.device, memory_format=torch.channels_last)
    for name, dtype in PRECISIONS.items():
        began = time.perf_counter()
        runner = torch_engine(model, name, scale)
        seconds = time.perf_counter() - began
        report.add(f"{name}: started, fused by", note=runner.fusion or "nothing is fused", seconds=seconds)
        network = copy.deepcopy(runner.network)
        fusing.unfuse(network)
        wanted, running = fusing._outputs(network, there[:8]), {"not fused": network_forward(network, pixels, scale)}
        for operations in dict.fromkeys((fusing.operations_for(dtype), fusing.EPILOGUE)):
            title = f"fused by {operations.name}"
            with report.guarded(title):
                report.add(f"{name}, {title}: tried", note=str(fusing.tried(operations, dtype, device)))
                other = copy.deepcopy(network)
                for _, block in other.blocks():
                    block.fused = fusing.Fused(block, operations)
                pairs = list(zip(fusing._outputs(other, there[:8]), wanted, strict=True))
                report.add(
                    f"{name}, {title}: beside the same unfused",
                    difference=max(float(((a - b).norm(dim=1) / b.norm(dim=1)).max()) for a, b in pairs),
                    refused=float(sum(block.fused.refused for _, block in other.blocks())),
                )
                running[title] = network_forward(other, pixels, scale)
        for title, spent in timed(running, scale).items():
            report.add(f"{name}, batch {batch}: {title}", images_per_second=batch / median(spent))


# --- compiled ---------------------------------------------------------------------------------------------------------


def compiled(report: Report, scale: Scale) -> None:
    """`torch.compile` of the fast network in a graph of ours, and as it comes; the quick way first."""
    model = model_of(drawn(scale.large, scale.side), scale.large, scale.side)
    batch = scale.batches[-1]
    pixels = pixels_of(batch, scale.side)
    for precision, mode in (("bf16", "default"), ("fp32", "default"), ("bf16", "max-autotune-no-cudagraphs")):
        title = f"{precision}, batch {batch}: compiled, {mode}"
        with report.guarded(title):
            eager = copy.copy(torch_engine(model, precision, scale))
            eager.network = copy.deepcopy(eager.network)
            fusing.unfuse(eager.network)  # which compilers do not follow
            there = pixels.to(scale.device, memory_format=torch.channels_last)
            outputs = Outputs(eager.network, eager.network.stage_names, "mean")
            began = time.perf_counter()
            network = torch.compile(outputs, dynamic=False, mode=mode)
            found = inference(network, there)
            wanted, got = inference(outputs, there)(), found()
            wait(scale.device)
            seconds = time.perf_counter() - began
            error = max(
                float((one - other).abs().max() / other.abs().max()) for one, other in zip(got, wanted, strict=True)
            )
            times = timed({"eager": forward(eager, pixels), title: found}, scale)
            report.judge(
                title,
                error <= (5e-2 if precision == "bf16" else 1e-3),
                images_per_second=batch / median(times[title]),
                beside_eager=1 / ratio(times, title, "eager"),
                error=error,
                compile_seconds=seconds,
            )
        if mode == "default" and not obstacle(scale.device):
            with report.guarded(f"{title}, in the engine"):
                compiled_engine(report, model, pixels, precision, scale)


def compiled_engine(report: Report, model: zoo.Model, pixels: Tensor, precision: str, scale: Scale) -> None:
    plan, batch = eager_plan(model, precision, scale), len(pixels)
    graphs = CudaGraphEngine(model.network, model.spec.preprocessing, plan, compiled=True)
    began = time.perf_counter()
    graphs(pixels), graphs(pixels)
    seconds = time.perf_counter() - began
    (captured,) = graphs._graphs.values()
    eager = torch_engine(model, precision, scale)
    found = {
        "eager": forward(eager, pixels),
        "compiled, CUDA graph's replay": captured.graph.replay,
        "compiled, CUDA graphs, from the host": ahead(graphs, pixels),
    }
    times = timed(found, scale)
    for name, spent in times.items():
        report.add(
            f"{precision}, batch {batch}: {name}",
            images_per_second=batch / median(spent),
            beside_eager=1 / ratio(times, name, "eager"),
            compile_seconds=seconds,
        )


# --- from files -------------------------------------------------------------------------------------------------------


def from_files(report: Report, scale: Scale, folder: Path, forked_rate: float) -> None:
    """JPEG files to finished rows, beside decoding alone, the way to the device alone and torchvision's forward."""
    source = drawn(scale.large, scale.side)
    model = model_of(source, scale.large, scale.side)
    images = datasets.open_images(str(folder))
    paths = sorted(folder.iterdir())
    report.add("decoding by processes, one a core", images_per_second=forked_rate)
    for threads in (1, 4, 16):
        some = paths[: max(16, len(paths) * threads // 16)]
        with ThreadPoolExecutor(threads) as pool:
            began = time.perf_counter()
            list(pool.map(decoded, [some[start::threads] for start in range(threads)]))
            spent = time.perf_counter() - began
        report.add(f"decoding by {threads} threads", images_per_second=len(some) / spent)
    with report.guarded("transfer"):
        transfer(report, scale)
    rates = {}
    cores = os.cpu_count() or 1
    for kind, processes in (("threads", 0), ("processes, which start", cores), ("processes, which run", cores)):
        began = time.perf_counter()
        for _ in batches(images, model.spec.preprocessing, 64, processes=processes):
            pass
        rates[kind] = len(images) / (time.perf_counter() - began)
        report.add(f"decoding as extraction does it, in {kind}", images_per_second=rates[kind])
    decode_rate = max(forked_rate, *rates.values())
    larger = folder.with_name("larger")
    larger.mkdir()
    for number, path in enumerate(paths * COPIES):
        os.link(path, larger / f"{number:06d}.jpg")
    sets = [images, datasets.open_images(str(larger))]
    kinds = [engine.TORCH, *([] if obstacle(scale.device) else [engine.CUDA_GRAPHS])]
    for precision in reversed(DTYPES):
        for batch in scale.batches:
            with report.guarded(f"{precision}, batch {batch}"):
                base = {BASE: torchvision_forward(source, batch, precision, scale)}
                bare = batch / median(timed(base, scale)[BASE])
                del base
                for kind, some in ((kind, some) for kind in kinds for some in sets):
                    plan = dataclasses.replace(eager_plan(model, precision, scale), engine=kind)
                    whole(report, model, some, plan, batch, (bare, decode_rate))


def whole(
    report: Report, model: zoo.Model, images: datasets.ImageSet, plan: Plan, batch: int, rates: tuple[float, float]
) -> None:
    """rates: torchvision's bare forward and decoding alone, in images/s; the lower one is the most that is possible."""
    bare, decode = rates
    done = []
    for _ in range(2):  # the first one has kernels to load
        with tempfile.TemporaryDirectory() as out:
            manifest = finish(extract.to_folder(model, images, plan, Path(out) / "features", batch))
        done.append(manifest.images_per_second or 0.0)
    rate, ceiling = max(done), min(bare, decode)
    bound = "decoding" if decode < bare else "the network"
    report.judge(
        f"{len(images)} JPEGs, {plan.precision}, batch {batch}, {plan.engine}",
        rate >= SHARE * ceiling,
        f"bound by {bound}",
        images_per_second=rate,
        first=done[0],
        bare_forward=bare,
        share_of_forward=rate / bare,
        ceiling=ceiling,
        share_of_ceiling=rate / ceiling,
    )


def transfer(report: Report, scale: Scale) -> None:
    """Pixels to the device: from memory as it comes, with a copy to pinned memory first, and from pinned memory."""
    if not scale.is_gpu:
        report.add("transfer", SKIP, "no CUDA device")
        return
    batch = scale.batches[-1]
    pixels = pixels_of(batch, scale.side)
    pinned = pixels.pin_memory()
    found: dict[str, Contestant] = {
        "pageable": lambda: pixels.to(scale.device),
        "pinned by a copy": lambda: pixels.pin_memory().to(scale.device, non_blocking=True),
        "pinned by a copy, channels last": lambda: pixels.pin_memory().to(
            scale.device, memory_format=torch.channels_last, non_blocking=True
        ),
        "from pinned memory": lambda: pinned.to(scale.device, non_blocking=True),
        "the copy to pinned memory alone": lambda: pixels.pin_memory(),
    }
    for name, spent in timed(found, scale).items():
        report.add(
            f"transfer, {name}",
            images_per_second=batch / median(spent),
            gigabytes_per_second=pixels.nbytes / median(spent) / 1e9,
        )


# --- maps -------------------------------------------------------------------------------------------------------------


def saliency(report: Report, scale: Scale) -> None:
    source = drawn(scale.large, scale.side)
    model = on(model_of(source, scale.large, scale.side), scale.device)
    for allowed in (False, True):
        for batch in (1, scale.batches[0]):
            with report.guarded(f"batch {batch}"), tf32(allowed):
                saliency_race(report, source, model, batch, scale, "TF32" if allowed else "fp32")


def saliency_race(report: Report, source: nn.Module, model: zoo.Model, batch: int, scale: Scale, products: str) -> None:
    pixels = pixels_of(batch, scale.side)
    targets = [ClassTarget(index % 1000) for index in range(batch)]
    found: dict[str, Contestant] = {BASE: torchvision_forward(source, batch, "fp32", scale)}
    for precision in ("fp32", "bf16"):
        found[f"backward convolutions alone, {precision}"] = backward_convolutions(model, pixels, precision, scale)
    for precision in ("fp32", "bf16"):
        explainer = explainer_of(model, precision)
        last, branches = [Tap(model.network.stage_names[-1])], explainer.taps(BRANCHES)
        found |= {
            f"last stage, {precision}": lambda e=explainer, t=last: e.maps(pixels, targets, taps=t),
            f"four stages, {precision}": lambda e=explainer: e.maps(pixels, targets),
            f"branch, shortcut and sum of every block, {precision}": lambda e=explainer, t=branches: e.maps(
                pixels, targets, taps=t
            ),
        }
    times = timed(found, scale)
    for name, spent in times.items():
        beside = ratio(times, name, BASE)
        numbers = {"ms": 1000 * median(spent), "images_per_second": batch / median(spent), "forwards": beside}
        title = f"{products}, batch {batch}: {name}"
        precision = name.rpartition(", ")[2]
        if name.startswith("four stages"):  # not before a forward and the convolutions on the way back are through
            least = 1 + ratio(times, f"backward convolutions alone, {precision}", BASE)
            numbers |= {"least_forwards": least, "beside_least": beside / least}
        report.add(title, **numbers)


def backward_convolutions(model: zoo.Model, pixels: Tensor, precision: str, scale: Scale) -> Contestant:
    """The gradients of all convolutions' inputs between the last stage and the first one's output."""
    network = torch_engine(model, "fp32", scale).network
    lower = torch_engine(model, precision, scale).network
    names = [name for name, module in network.named_modules() if isinstance(module, Convolution)]
    names = [
        name for name in names if name.startswith("stages.") and not name.startswith(f"stages.{first_stage(model)}.")
    ]
    shapes: dict[str, tuple] = {}
    plain = copy.deepcopy(network)
    fusing.unfuse(plain)
    for name in names:
        conv = plain.get_submodule(name)

        def seen(x: Tensor, bias: Tensor | None, name: str = name, inner=conv._convolved) -> Tensor:
            y = inner(x, bias)
            shapes[name] = tuple(x.shape), tuple(y.shape)
            return y

        conv._convolved = seen
    with torch.inference_mode():
        for _ in plain.walk(pixels.to(scale.device, memory_format=torch.channels_last)):
            pass
    dtype = PRECISIONS[precision]
    gradients = {
        name: torch.rand(after, device=scale.device).to(dtype).to(memory_format=torch.channels_last)
        for name, (_, after) in shapes.items()
    }

    def run() -> None:
        with torch.inference_mode():
            for name, (before, _) in shapes.items():
                lower.get_submodule(name).back(gradients[name], before)

    return run


def first_stage(model: zoo.Model) -> str:
    return model.network.stage_names[0]
