"""Every analysis on the device against the CPU's numbers in fp32."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from gpu_parts.report import SKIP, Report
from gpu_parts.subjects import Scale, drawn, explainer_of, image_set, model_of, on, tf32
from torch import Tensor

from features import datasets, engine, faithfulness, residual
from features.datasets import ImageSet
from features.datasets.decoding import batches
from features.devices import device_of
from features.engine.cuda_graphs import CudaGraphEngine, obstacle
from features.evaluate import evaluate
from features.networks import zoo
from features.progress import finish
from features.saliency import (
    BLOCKS,
    BRANCHES,
    STAGES,
    ClassTarget,
    SaliencyMaps,
    StageTarget,
    Tap,
    explain,
    ledger,
)

Arrays = dict[str, np.ndarray]
FP32, TF32, BF16, FP16 = "fp32", "tf32", "bf16", "fp16"
FEATURES, WHOLE, MAPS, PLACES, SUMS, NUMBERS, SHARES = (
    "features",
    "whole maps",
    "maps",
    "places",
    "sums",
    "numbers",
    "shares",
)
# Three to five times what trained networks showed on an H100 (November 2026). The largest allowed error, relative to
# the largest number of its kind, and the smallest allowed cosine of an image. Of maps in bf16 and fp16 only the
# gradient is; activations are in fp32. In TF32 maps feel each ReLU that rounding opens or closes. Shares are numbers of
# images that are right: one of few may be on the edge. Whole maps are float16.
BOUNDS: dict[str, dict[str, tuple[float, float]]] = {
    FEATURES: {FP32: (2e-5, 0.99999), TF32: (1e-2, 0.9999), BF16: (5e-2, 0.999), FP16: (4e-3, 0.99999)},
    WHOLE: {FP32: (1e-3, 0.99999), TF32: (4e-3, 0.99999), BF16: (4e-2, 0.9998), FP16: (6e-3, 0.99999)},
    MAPS: {FP32: (3e-5, 0.99999), TF32: (3e-1, 0.96), BF16: (5e-2, 0.999), FP16: (7e-3, 0.9999)},
    PLACES: {FP32: (2e-5, 0.99999), TF32: (3e-1, 0.99), BF16: (3e-2, 0.9997), FP16: (4e-3, 0.99999)},
    SUMS: {FP32: (2e-3, 0.9999), TF32: (3e-1, 0.99)},  # of many steps, some of them next to a ReLU's kink
    NUMBERS: {FP32: (2e-3, 0.9999), TF32: (1e-2, 0.9999)},
    SHARES: {FP32: (4e-2, 0.99), TF32: (1e-1, 0.97)},
}
# Of a network with drawn weights, whose maps feel in fp32 too each ReLU that rounding opens or closes: on a CPU its
# fp32 differs from float64 by up to 0.008 before the last stage, and by 4e-6 at it (ResNet-50, 224 px, 8 pictures).
DRAWN: dict[str, dict[str, tuple[float, float]]] = {
    FEATURES: {FP16: (1e-2, 0.9999)},
    WHOLE: {TF32: (1e-2, 0.9999), BF16: (1e-1, 0.998), FP16: (2e-2, 0.9998)},
    MAPS: {FP32: (3e-2, 0.999), FP16: (3e-2, 0.999)},
    PLACES: {FP32: (5e-2, 0.999), TF32: (3e-1, 0.96), FP16: (5e-2, 0.999)},
}
BY_PLACE = ("hirescam", "gradcam++", "layercam", "xgradcam")


@dataclass(frozen=True)
class Analysis:
    """What is compared. run: model and precision -> arrays, images first. precisions: beside fp32 and TF32."""

    name: str
    kind: str
    run: Callable[[zoo.Model, str], Arrays]
    precisions: tuple[str, ...] = ()


def correctness(report: Report, scale: Scale) -> None:
    sample = datasets.open_images("sample")
    first, *others = scale.bundled
    for name in (first, scale.large, *others):
        with report.guarded(name):
            if name == scale.large:
                model = model_of(drawn(name, scale.side), name, scale.side)
                images = image_set(scale.images, scale.side, model.spec.class_names)
            else:
                model = zoo.load(name)
                images = sample.sample(8 * scale.images)
            compare_all(report, model, name, images, scale, small=name != scale.large)


def compare_all(report: Report, model: zoo.Model, name: str, images: ImageSet, scale: Scale, small: bool) -> None:
    pixels = torch.cat([batch.pixels for batch in batches(images, model.spec.preprocessing, 32)])
    there = on(model, scale.device)
    for analysis in analyses(model, images, pixels, scale, small):
        with report.guarded(f"{name}, {analysis.name}"):
            began = time.perf_counter()
            wanted = analysis.run(model, FP32)
            on_cpu = time.perf_counter() - began
            for precision in (FP32, TF32, *analysis.precisions):
                with tf32(precision == TF32):
                    began = time.perf_counter()
                    found = analysis.run(there, FP32 if precision == TF32 else precision)
                    spent = time.perf_counter() - began
                error, cosine = differences(found, wanted)
                bounds = BOUNDS[analysis.kind] | ({} if small else DRAWN.get(analysis.kind, {}))
                largest, smallest = bounds[precision]
                report.judge(
                    f"{name}, {analysis.name}, {precision}",
                    error <= largest and cosine >= smallest,
                    f"wanted <= {largest:g}, >= {smallest:g}",
                    error=error,
                    cosine=f"{cosine:.6f}",
                    seconds=spent,
                    cpu_seconds=on_cpu,
                )
    explainer_of.cache_clear()
    if not find_spec("captum"):
        skipped = "integrated gradients, guided Grad-CAM, occlusion, infidelity, sensitivity"
        report.add(f"{name}, {skipped}", SKIP, "captum is not installed")


def differences(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """The largest error relative to the largest number of its array, and the smallest cosine of an image's row."""
    errors, cosines = [0.0], [1.0]
    if found.keys() != wanted.keys():
        return np.inf, -1.0
    for name, values in wanted.items():
        one, other = np.asarray(found[name], np.float64), np.asarray(values, np.float64)
        if one.shape != other.shape or not np.array_equal(np.isfinite(one), np.isfinite(other)):
            return np.inf, -1.0
        one, other = np.nan_to_num(one, posinf=0, neginf=0), np.nan_to_num(other, posinf=0, neginf=0)
        top = np.abs(other).max(initial=0)
        if top == 0:
            errors.append(float(np.abs(one).max(initial=0)))
            continue
        errors.append(float(np.abs(one - other).max() / top))
        rows = (one.reshape(len(one), -1), other.reshape(len(other), -1)) if one.ndim > 1 else (one[None], other[None])
        sizes = np.linalg.norm(rows[0], axis=1) * np.linalg.norm(rows[1], axis=1)
        known = sizes > 0
        if known.any():
            cosines.append(float(((rows[0] * rows[1]).sum(1)[known] / sizes[known]).min()))
    return max(errors), min(cosines)


def analyses(model: zoo.Model, images: ImageSet, pixels: Tensor, scale: Scale, small: bool) -> list[Analysis]:
    """small: whether the network is small enough for what takes many passes."""
    few = pixels[: scale.images]
    classes = [ClassTarget(index % 10) for index in range(len(few))]
    stages = model.network.stage_names
    lower = (BF16, FP16)
    found = [
        Analysis("features of every stage", FEATURES, partial(features, pixels=pixels), lower),
        Analysis("whole maps", WHOLE, partial(features, pixels=few[:4], pool="none"), lower),
        Analysis("gem and logits", FEATURES, partial(features, pixels=few, pool="gem"), lower),
    ]
    if not obstacle(scale.device):
        found.append(Analysis("features with CUDA graphs", FEATURES, partial(graphed, pixels=pixels), lower))
    for kind in (STAGES, BLOCKS, BRANCHES):
        found.append(
            Analysis(f"Grad-CAM of {kind}", MAPS, partial(maps, pixels=few, targets=classes, kind=kind), lower)
        )
    for method in BY_PLACE:
        found.append(
            Analysis(f"{method} of stages", PLACES, partial(maps, pixels=few, targets=classes, method=method), lower)
        )
    last = [Tap(stages[-1])]
    for method in ("cam", "eigencam"):
        run = partial(maps, pixels=few, targets=classes, method=method, taps=last)
        found.append(Analysis(f"{method} of the last stage", MAPS, run, lower))
    length = [StageTarget(stages[-2])] * len(few)
    like = [StageTarget(stages[-1], few[0], "the first")] * (len(few) - 1)
    found += [
        Analysis("Grad-CAM of a stage's length", MAPS, partial(maps, pixels=few, targets=length), lower),
        Analysis("Grad-CAM of a likeness", MAPS, partial(maps, pixels=few[1:], targets=like), lower),
        Analysis("every class", MAPS, partial(every_class, pixels=few)),
        Analysis("ledger", MAPS, partial(ledgers, pixels=few, targets=classes)),
        Analysis("branch statistics", NUMBERS, partial(statistics, images=images)),
        Analysis("lesions, probabilities and cosines", NUMBERS, partial(lesions, images=images)),
        Analysis("lesions, shares", SHARES, partial(lesions, images=images, shares=True)),
        Analysis("evaluation", SHARES, partial(evaluation, images=images)),
    ]
    if model.network.stages[stages[0]][0].shortcut_kind != "none":
        found.append(Analysis("gradient paths", NUMBERS, partial(paths, images=images.take(range(2)))))
    explained = explainer_of(model, FP32).maps(few, classes, taps=last)
    found.append(
        Analysis("faithfulness curves", FEATURES, partial(curves, pixels=few, explained=explained, tap=last[0]))
    )
    if small:
        run = partial(maps, pixels=few[:2], targets=classes[:2], method="scorecam", taps=last)
        found.append(Analysis("Score-CAM of the last stage", MAPS, run))
    if small and find_spec("captum"):
        for method, bounds in (("integrated-gradients", SUMS), ("occlusion", PLACES)):
            run = partial(maps, pixels=few[:1], targets=classes[:1], method=method)
            found.append(Analysis(method, bounds, run))
    return found


def features(model: zoo.Model, precision: str, pixels: Tensor, pool: str = "mean") -> Arrays:
    return runner(model, precision, pool)(pixels)


def graphed(model: zoo.Model, precision: str, pixels: Tensor) -> Arrays:
    """Of the second batch, which is captured, and of fewer images in the same graph; on a CPU as ever."""
    if device_of(model.network).type == "cpu":
        return features(model, precision, pixels)
    plan = read(model, precision, "mean")
    graphs = CudaGraphEngine(model.network, model.spec.preprocessing, plan)
    graphs(pixels), graphs(pixels.flip(0))
    first = graphs(pixels)
    fewer = graphs(pixels[: len(pixels) * 3 // 4])
    rest = graphs(pixels[len(pixels) * 3 // 4 :])
    again = {name: np.concatenate([values, rest[name]]) for name, values in fewer.items()}
    error, _ = differences(again, first)
    rounded = precision == FP32 and torch.backends.cudnn.allow_tf32
    bound, _ = BOUNDS[FEATURES][TF32 if rounded else precision]  # another size may have other kernels
    if error > bound:
        raise AssertionError(f"a batch in two pieces differs from the whole one by {error:.1e}")
    return first


def read(model: zoo.Model, precision: str, pool: str):
    """Every stage, the pooled features and the logits, by PyTorch where the network lies."""
    stages = ("stem", *model.network.stage_names, engine.POOLED, engine.LOGITS)
    if pool == "none":
        stages = model.network.stage_names
    device = str(device_of(model.network))
    return engine.choose(model.network, stages, pool, precision, device, engine.TORCH)


def runner(model: zoo.Model, precision: str, pool: str = "mean"):
    return engine.start(model.network, model.spec.preprocessing, read(model, precision, pool))


def maps(
    model: zoo.Model, precision: str, pixels: Tensor, targets: list, method: str = "gradcam", kind: str = "", taps=None
) -> Arrays:
    explainer = explainer_of(model, precision)
    taps = explainer.taps(kind) if kind and kind != STAGES else taps
    found = finish(explain(explainer, pixels, targets, method, taps))
    return {f"{tap.name} {tap.part}": values for tap, values in found.maps.items()} | {"scores": found.scores}


def every_class(model: zoo.Model, precision: str, pixels: Tensor) -> Arrays:
    return {"maps": explainer_of(model, FP32).every_class(pixels)}


def ledgers(model: zoo.Model, precision: str, pixels: Tensor, targets: list) -> Arrays:
    found = ledger(explainer_of(model, FP32), pixels, targets)
    return {"maps": found.maps, "values": found.values, "biases": found.biases, "logits": found.logits}


def statistics(model: zoo.Model, precision: str, images: ImageSet) -> Arrays:
    found = finish(residual.statistics(model, images))
    numbers = {f"norms {part}": values for part, values in found.norms.items()}
    numbers |= {f"means {name}": values for name, values in found.means.items()}
    for name in ("cosines", "kept", "sparsities", "effective_rank", "cka", "head_accuracy", "class_mean_accuracy"):
        numbers[name] = getattr(found, name)
    for block, channels in zip(found.blocks, found.channels, strict=True):
        numbers |= {f"{block} mean {part}": values for part, values in channels.means.items()}
        numbers |= {f"{block} variance {part}": values for part, values in channels.variances.items()}
    return numbers


def lesions(model: zoo.Model, precision: str, images: ImageSet, shares: bool = False) -> Arrays:
    found = finish(residual.sweep(model, images, residual.each(model.network)))
    return {
        name: getattr(found, name) for name in (("accuracy", "agreement") if shares else ("true_probability", "cosine"))
    }


def paths(model: zoo.Model, precision: str, images: ImageSet) -> Arrays:
    found = finish(residual.paths(model, images, draws=2))
    return {"single": found.single, "together": found.together}


def evaluation(model: zoo.Model, precision: str, images: ImageSet) -> Arrays:
    found = finish(evaluate(model, images))
    return {"accuracy": np.array([found.accuracy]), "top5": np.array([found.top5])}


def curves(model: zoo.Model, precision: str, pixels: Tensor, explained: SaliencyMaps, tap: Tap) -> Arrays:
    """Of the same maps wherever the network runs: of others the pixels would come in another order."""
    found = faithfulness.trial_of(explainer_of(model, FP32), pixels, explained, tap, steps=8)
    return {"deletion": found.curves.deletion, "insertion": found.curves.insertion, "seen": found.seen}
