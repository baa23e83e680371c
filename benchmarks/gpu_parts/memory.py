"""What analyses take of the device's memory, what they do when it is short, and whether they give it back."""

import gc
from collections.abc import Callable

import numpy as np
import torch
from gpu_parts.correctness import differences
from gpu_parts.report import SKIP, Report
from gpu_parts.speed import eager_plan, graph_engine, torch_engine
from gpu_parts.subjects import Scale, drawn, explainer_of, model_of, on, pixels_of

from features import engine
from features.engine.cuda_graphs import CudaGraphEngine
from features.networks import zoo
from features.saliency import ClassTarget, Explainer

MIB = 2**20


def memory(report: Report, scale: Scale) -> None:
    if not scale.is_gpu:
        report.add("memory", SKIP, "no CUDA device")
        return
    model = model_of(drawn(scale.large, scale.side), scale.large, scale.side)
    for held in (torch_engine, graph_engine, explainer_of):
        held.cache_clear()
    for precision in ("fp32", "bf16"):
        for batch in scale.batches:
            pixels = pixels_of(batch, scale.side)
            with report.guarded("extraction"):
                peak = peak_of(lambda b=pixels, p=precision: started(model, "torch engine", scale, p)(b))
                report.add(f"extraction, {precision}, batch {batch}", peak_mib=peak / MIB)
            with report.guarded("maps"):
                there = on(model, scale.device)
                targets = [ClassTarget(0)] * batch
                peak = peak_of(lambda b=pixels, t=targets, p=precision, m=there: Explainer(m, p).maps(b, t))
                report.add(f"four stages' maps, gradient in {precision}, batch {batch}", peak_mib=peak / MIB)
                del there
    for kind in ("torch engine", "CUDA graphs"):
        with report.guarded(f"short of memory, {kind}"):
            short_of_memory(report, model, kind, scale)
        with report.guarded(f"given back, {kind}"):
            given_back(report, kind, lambda k=kind: used(model, k, scale))
    with report.guarded("given back, maps"):
        given_back(report, "maps", lambda: maps_used(model, scale))


def empty() -> int:
    """Bytes that are still held once everything has been let go of."""
    gc.collect()
    torch.cuda.synchronize()
    torch._C._cuda_clearCublasWorkspaces()  # one a stream that has multiplied matrices, 33 MiB each
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated()


def peak_of(work: Callable[[], object]) -> int:
    """The most bytes that work holds beyond what was held before; what it makes is let go of."""
    before = empty()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() - before
    empty()
    return peak


def started(model: zoo.Model, kind: str, scale: Scale, precision: str = "fp32") -> engine.TorchEngine:
    """A new engine."""
    build = engine.TorchEngine if kind == "torch engine" else CudaGraphEngine
    return build(model.network, model.spec.preprocessing, eager_plan(model, precision, scale))


def short_of_memory(report: Report, model: zoo.Model, kind: str, scale: Scale) -> None:
    """A third of what a large batch takes is allowed: the batch is halved until it fits, and says the same."""
    batch = scale.batches[-1]
    pixels = pixels_of(batch, scale.side)
    whole = started(model, kind, scale)
    wanted = whole(pixels)
    del whole
    peak = peak_of(lambda: started(model, kind, scale)(pixels))
    total = torch.cuda.get_device_properties(0).total_memory
    allowed = empty() + peak // 3 + 150 * MIB  # the weights are there at any size of batch
    torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / total))
    try:
        runner = started(model, kind, scale)
        found = runner(pixels)
        runner(pixels)  # goes on with the smaller size
        again = runner(pixels)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    errors = [differences(values, wanted)[0] for values in (found, again)]
    report.judge(
        f"short of memory, {kind}: halved, and the same",
        runner.limit < batch and max(errors) <= 1e-4,
        images_at_once=runner.limit,
        error=max(errors),
        allowed_mib=allowed / MIB,
        whole_mib=peak / MIB,
    )


def used(model: zoo.Model, kind: str, scale: Scale) -> dict[str, np.ndarray]:
    runner = started(model, kind, scale)
    pixels = pixels_of(scale.batches[0], scale.side)
    return [runner(pixels) for _ in range(3)][-1]


def maps_used(model: zoo.Model, scale: Scale) -> object:
    pixels = pixels_of(scale.batches[0], scale.side)
    return Explainer(on(model, scale.device)).maps(pixels, [ClassTarget(0)] * len(pixels))


def given_back(report: Report, name: str, work: Callable[[], object]) -> None:
    """After the first time what libraries keep for themselves is there; the second time nothing may be added."""
    work()
    before = empty()
    work()
    more = empty() - before
    report.judge(f"given back, {name}", more <= 0, left_bytes=float(more))
