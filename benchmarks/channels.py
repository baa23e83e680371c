"""Times the channels of all blocks of a ResNet-50 beside extracting the same blocks' features.

    python benchmarks/channels.py [--images 1000] [--rounds 3] [--no-plain]

In every round each contestant reads the same images, with nothing of them in the cache; ratios are of one round. What
is extracted are the means of every block, into a folder of the cache. The plainest contestant is torchvision's network
as it is, over the same pixels, which makes no more than logits. Weights are drawn, and images are noise of photographs'
size as JPEG files, which changes no time but that of their decoding. Two networks' channels beside each other are timed
by themselves, on features that are in the cache.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compare import model_of, photographs
from rounds import drawn, machine, timed

from features import channels, engine, extract
from features.datasets import ImageSet
from features.datasets.decoding import batches
from features.networks.zoo import Model
from features.progress import finish

EXTRACT, CHANNELS, PLAIN = "features of all blocks, extracted", "channels of all blocks", "torchvision as it is"
BESIDE = "channels of two networks, from the cache"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-plain", action="store_true", help="leave torchvision out, which takes longest")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        images = photographs(Path(folder) / "images", options.images)
        race(options.model, images, options.rounds, not options.no_plain)


def race(name: str, images: ImageSet, rounds: int, with_plain: bool) -> None:
    """Print what everything takes, in seconds and beside extracting."""
    source = drawn(name)
    model, other = model_of(name, source, "0" * 64), model_of(name, drawn(name), "1" * 64)

    def extracted() -> None:
        shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)
        finish(extract.cached(model, images, engine.blocks_of(model.network)[1:]))

    contestants = {EXTRACT: extracted, CHANNELS: lambda: finish(channels.responses(model, images))}
    if with_plain:
        contestants[PLAIN] = lambda: plain(source, model, images)
    tell(f"{name}, {len(images):,} images, {rounds} rounds", timed(contestants, rounds), EXTRACT)
    finish(channels.beside(model, other, images))
    tell(
        f"\ntwo {name}, of {len(images):,} images",
        timed({BESIDE: lambda: finish(channels.beside(model, other, images))}, rounds),
    )


def tell(title: str, times: Mapping[str, list[float]], beside: str | None = None) -> None:
    """Print medians, and medians of the ratios of one round to one of the contestants."""
    print(title)
    for name, values in times.items():
        ratio = "" if beside is None else f"   {statistics.median(np.divide(values, times[beside])):5.2f} x extracting"
        spread = f"({min(values):.1f} to {max(values):.1f})"
        print(f"{name:42s} {statistics.median(values):8.1f} s {spread:18s}{ratio}", flush=True)


def plain(source: torch.nn.Module, model: Model, images: ImageSet) -> None:
    """The logits of torchvision's network, of the same pixels."""
    with torch.inference_mode():
        for batch in batches(images, model.spec.preprocessing, 32):
            source.eval()(model.spec.preprocessing.scaled(batch.pixels))


if __name__ == "__main__":
    main()
