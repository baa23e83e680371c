"""Times a comparison of two ResNet-50s beside extracting the features of both once, and CKA of all their blocks.

    python benchmarks/compare.py [--images 1000] [--rounds 2] [--many 10000] [--no-plain]

In every round each contestant reads the same images, with nothing of them in the cache; ratios are of one round. The
plainest contestant is torchvision's networks as they are, over the same pixels. With `--processor-time` what the
process used of its processors is counted instead of the time that passed, for a machine that has other work beside
it. Weights are drawn, and images are noise of photographs' size as JPEG files, which changes no time but that of
their decoding. CKA of blocks is timed by itself over features on disk of as many images as `--many` says, beside what
extracting so many would take at the pace that was measured; its memory is what the process had more of its own, not
counting what lies on disk.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rounds import drawn, machine, timed

from features import compare, extract
from features.datasets import ImageSet, open_images
from features.datasets.decoding import batches
from features.networks import catalogue, zoo
from features.networks.canonical import canonical, freeze
from features.progress import finish
from features.results import Provenance
from features.similarity import Layers, streamed

EXTRACT, WHOLE, PLAIN = "features of both, extracted", "comparison, as the command makes it", "torchvision as it is"
CLASSES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--no-plain", action="store_true", help="leave torchvision out, which takes longest")
    parser.add_argument(
        "--processor-time", action="store_true", help="count the seconds of processors, not the clock's"
    )
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.perf_counter
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        images = photographs(Path(folder) / "images", options.images)
        seconds = race(options.model, images, options.rounds, not options.no_plain, clock)
        cka(options.model, Path(folder), options.many, seconds * options.many / options.images, clock)


def race(name: str, images: ImageSet, rounds: int, with_plain: bool, clock: Callable[[], float]) -> float:
    """Print what everything takes; the seconds of extracting both networks' features."""
    sources = [drawn(name) for _ in range(2)]
    models = [model_of(name, source, str(number) * 64) for number, source in enumerate(sources)]
    spent: dict[str, list[float]] = {}

    def whole() -> None:
        shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)
        began = clock()
        told = finish(compare.compare(models, images))
        spent.setdefault("  of it: networks, cost, slices, CKA of blocks", []).append(clock() - began)
        for extra in compare.DEFAULT_EXTRAS:
            began = clock()
            finish(compare.with_extras(told, models, [extra]))
            spent.setdefault(f"  of it: {extra}", []).append(clock() - began)

    def extracted() -> None:
        for model in models:
            finish(extract.features(model, images))

    contestants = {EXTRACT: extracted, WHOLE: whole}
    if with_plain:
        contestants[PLAIN] = lambda: plain(sources, models[0], images)
    times = timed(contestants, rounds, clock) | spent
    print(f"\ntwo {name}, {len(images):,} images, {rounds} rounds")
    for title, values in times.items():
        ratio = statistics.median(np.divide(values, times[EXTRACT]))
        print(f"{title:48s} {statistics.median(values):8.1f} s   {ratio:5.2f} x extracting both", flush=True)
    return statistics.median(times[EXTRACT])


def plain(sources: Sequence[torch.nn.Module], model: zoo.Model, images: ImageSet) -> None:
    """The logits of torchvision's networks, of the same pixels."""
    for source in sources:
        with torch.inference_mode():
            for batch in batches(images, model.spec.preprocessing, 32):
                source.eval()(model.spec.preprocessing.scaled(batch.pixels))


def cka(name: str, folder: Path, many: int, extracting: float, clock: Callable[[], float]) -> None:
    """Print what CKA of every two blocks adds, in time and memory."""
    model = model_of(name, drawn(name), "0" * 64)
    shapes = [block.shape[0] for _, block in model.network.blocks()]
    random = np.random.default_rng(0)
    sides = [features(folder / f"side{side}", shapes, many, random) for side in range(2)]
    before = own_memory()
    began, most = clock(), 0
    task = streamed(*sides)
    try:
        while True:
            next(task)
            most = max(most, own_memory() - before)
    except StopIteration as end:
        told = end.value
    seconds = clock() - began
    print(
        f"\nCKA of {len(told.rows)} x {len(told.columns)} blocks over {many:,} images: {seconds:.1f} s, "
        f"{seconds / extracting:.1%} of extracting both; {most / 1e6:.0f} MB"
    )


def features(folder: Path, widths: Sequence[int], n_images: int, random: np.random.Generator) -> Layers:
    """A layer of each width, on disk."""
    folder.mkdir()
    layers = {}
    for number, width in enumerate(widths):
        values = open_memmap(folder / f"{number}.npy", "w+", np.float32, (n_images, width))
        for start in range(0, n_images, 500):
            values[start : start + 500] = random.random((min(500, n_images - start), width), np.float32)
        del values
        layers[f"block {number}"] = np.load(folder / f"{number}.npy", mmap_mode="r")
    return Layers(layers, tuple(map(str, range(n_images))), Provenance())


def own_memory() -> int:
    """Bytes that the process holds by itself, without files that are mapped."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return 1024 * int(line.split()[1])


def model_of(name: str, source: torch.nn.Module, digest: str) -> zoo.Model:
    spec = catalogue.spec(name)
    names = tuple(f"class {number}" for number in range(spec.architecture.classes or 0))
    return zoo.Model(freeze(canonical(source)), replace(spec, class_names=names), digest)


def photographs(folder: Path, count: int) -> ImageSet:
    """Files of 500 x 375 pixels in folders of ten classes."""
    random = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"class {number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(place / f"{number}.jpg", quality=90)
    return open_images(str(folder))


if __name__ == "__main__":
    main()
