"""Times an epoch of training beside a plain PyTorch loop on the same batches, and fine-tuning of the head alone.

    python benchmarks/train.py [--model resnet18] [--images 128] [--batch 32] [--rounds 5]

In every round each contestant has one turn on the same images, so that all feel the same neighbours on a shared
machine; ratios are medians of ratios within a round. Batches lie in memory, so that nothing but the loop is timed,
except of what is kept of frozen parts, which is read from disk as a run reads it. Weights are drawn, which changes no
time. Aims: this project's loop at 0.97 of the plain one's images a second or more; with all but the head frozen 3 times
as many as with gradients everywhere.
"""

import argparse
import hashlib
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rounds import machine, timed

from features.datasets import ImageSet
from features.networks import catalogue
from features.networks.canonical import build
from features.progress import finish
from features.train import fit, frozen
from features.train.recipe import Recipe
from features.train.sets import sets_of
from features.train.start import Start

CLASSES = 10
PLAIN, OURS = "plain PyTorch loop", "this project's loop"
FROZEN, KEPT = "all but the head frozen", "all but the head frozen, output kept"
Batches = list[tuple[Tensor, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    recipe = Recipe(batch_size=options.batch, learning_rate=0.01, warmup_epochs=0.0, crop="centre", flip=0.0)
    with tempfile.TemporaryDirectory() as folder:
        times = timed(contestants(options.model, options.images, recipe, Path(folder)), options.rounds)
    for name, seconds in times.items():
        ratio = statistics.median(plain / own for plain, own in zip(times[PLAIN], seconds, strict=True))
        rate = options.images / statistics.median(seconds)
        print(f"{name:40} {rate:9.1f} images/s, {ratio:6.2f} times the plain loop's")


def contestants(model: str, count: int, recipe: Recipe, folder: Path) -> dict:
    """An epoch each, after one that is not timed."""
    start, images, test = Start.anew(catalogue.spec(model)), noise(count), noise(CLASSES, seed=1)
    head_alone = Recipe(**{**vars(recipe), "freeze": "all-but-head"})
    ours, still, kept = (
        fit._Run(start, sets_of(images, test, each), each, folder / name)
        for name, each in (("ours", recipe), ("still", head_alone), ("kept", head_alone))
    )
    batches: Batches = [(pixels, targets) for pixels, targets in ours.setup.loader(0)]
    outputs = finish(frozen.kept(kept.setup, "benchmark", folder / "kept"))
    assert outputs is not None
    kept.parts.begin_behind()
    made = {
        PLAIN: plain(ours, batches),
        OURS: lambda: finish(ours.train_epoch(batches, 0)),
        FROZEN: lambda: finish(still.train_epoch(batches, 0)),
        KEPT: lambda: finish(kept.train_epoch(kept.setup.loader(0, outputs), 0)),
    }
    for run in made.values():
        run()
    return made


def plain(ours: fit._Run, batches: Batches):
    """What one would write without this project, for a network of the same architecture."""
    device = ours.setup.device
    network = build(ours.setup.architecture).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 25 * len(batches))

    def epoch() -> None:
        network.train()
        total = right = 0.0
        for pixels, targets in batches:
            pixels, targets = pixels.to(device, memory_format=torch.channels_last), targets.to(device)
            logits = network(pixels)
            loss = nn.functional.cross_entropy(logits, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
            right += int((logits.argmax(1) == targets).sum())

    return epoch


def noise(count: int, seed: int = 0) -> ImageSet:
    """Noisy pictures of as many classes as `CLASSES`, in turn; made in memory."""
    values = np.random.default_rng(seed).integers(0, 256, (count, 224, 224, 3), np.uint8)
    labels, names = np.arange(count, dtype=np.int64) % CLASSES, tuple(map(str, range(CLASSES)))
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    return ImageSet(
        "noise", tuple(map(str, range(count))), labels, names, digest, lambda index: Image.fromarray(values[index])
    )


if __name__ == "__main__":
    main()
