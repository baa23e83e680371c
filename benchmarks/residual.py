"""Times branch statistics and lesions of ResNet-50 beside the plain forward pass, and tells how much memory they keep.

    python benchmarks/residual.py [--model resnet50] [--batch 16] [--rounds 5]

In every round each contestant reads the same images, so that all feel the same neighbours on a shared machine; ratios
are medians of ratios within a round. Weights are drawn, which changes no time. 'once per block' is what a sweep over
all blocks costs without a trunk that is computed once: this project's own fast network, as often as there are blocks.
"""

import argparse
import resource
import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rounds import drawn, machine, timed

from features import residual
from features.datasets import ImageSet
from features.datasets.decoding import batches
from features.engine import FastNetwork
from features.networks import catalogue, zoo
from features.networks.canonical import canonical, freeze
from features.progress import finish

FORWARD, SWEEP, PER_BLOCK = "forward, fp32", "lesions of every block", "forward once per block"
FOLDED = "one lesion's network, folded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    spec = catalogue.spec(options.model)
    model = zoo.Model(freeze(canonical(drawn(options.model))), spec, "0" * 64)
    images = noise(options.batch)
    network = FastNetwork(model.network, spec.preprocessing, torch.float32, torch.device("cpu"))
    blocks = len(list(network.blocks()))

    def fold_lesion() -> FastNetwork:
        """What every analysis of a network with a lesion begins with; the intact one is at hand."""
        changed = residual.lesioned(model, residual.each(model.network)[blocks // 2])
        return FastNetwork(changed.network, spec.preprocessing, torch.float32, torch.device("cpu"))

    def forward() -> None:
        with torch.inference_mode():
            for batch in batches(images, spec.preprocessing, options.batch):
                for _ in network.walk(batch.pixels.to(memory_format=torch.channels_last)):
                    pass

    contestants = {
        FORWARD: forward,
        "statistics of every block": lambda: finish(residual.measure(model, images)),
        SWEEP: lambda: finish(residual.sweep(model, images, residual.each(model.network))),
        FOLDED: fold_lesion,
        PER_BLOCK: lambda: [forward() for _ in range(blocks)],
    }
    forward()
    times = timed(contestants, options.rounds)
    print(f"\n{options.model}, {blocks} blocks, {options.batch} images, {options.rounds} rounds")
    for name, spent in times.items():
        beside = {base: statistics.median(np.divide(spent, times[base])) for base in (FORWARD, PER_BLOCK)}
        print(
            f"{name:28s} {statistics.median(spent):7.3f} s   {beside[FORWARD]:6.2f} x the forward   "
            f"{beside[PER_BLOCK]:6.1%} of once per block",
            flush=True,
        )
    print(f"\nlargest memory so far: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def noise(n_images: int) -> ImageSet:
    """Pictures of 224 px, with ten labels that no network knows."""
    values = np.random.default_rng(0).integers(0, 256, (n_images, 224, 224, 3), dtype=np.uint8)
    labels = np.arange(n_images) % 10
    names = tuple(f"label {number}" for number in range(10))
    ids = tuple(f"{place}.png" for place in range(n_images))
    return ImageSet("noise", ids, labels, names, "0" * 64, lambda place: Image.fromarray(values[place]))


if __name__ == "__main__":
    main()
