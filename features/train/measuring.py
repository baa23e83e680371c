"""Counts how many images a network under training has right, and its loss on them."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

import torch

from features.datasets.decoding import batches
from features.devices import device_of
from features.networks.canonical import ResidualNetwork
from features.networks.preprocessing import Preprocessing
from features.progress import Progress, Task
from features.train.heads import Head
from features.train.sets import Taught

TEST_BATCH = 500


@dataclass(frozen=True)
class Measured:
    """accuracy: the share of images that are right, of which those that cannot be read are none. loss: its mean over
    those that can, without smoothing or class weights.
    """

    accuracy: float
    loss: float


def measured(
    network: ResidualNetwork, preprocessing: Preprocessing, head: Head, taught: Taught, unit: str, note: str
) -> Task[Measured]:
    """Measure a network in eval mode, in fp32, without augmentation. unit, note: of the reports."""
    device, images = device_of(network), taught.images
    right, losses, seen, read = 0, 0.0, 0, 0
    with closing(batches(images, preprocessing, TEST_BATCH, device=str(device))) as stream:
        for batch in stream:
            with torch.inference_mode():
                logits = network(preprocessing.scaled(batch.pixels.to(device)))  # (N, K)
                targets = torch.from_numpy(taught.targets[batch.rows]).to(device)
                right += int(head.right(logits, targets).sum())
                losses += float(head.losses(logits, targets, 0.0, None).sum())
            read += len(batch.rows)
            seen += batch.seen
            yield Progress(seen, len(images), unit, note)
    return Measured(right / len(images), losses / max(read, 1))


def best_epoch(curve: Iterable[dict[str, float]]) -> int:
    """Which epoch, counted from 1, is best by the images held back: the most of them right, then the lower loss, then
    the earlier one; 0 of none.
    """
    scores = [(point["held_back_accuracy"], -point["held_back_loss"]) for point in curve]
    return scores.index(max(scores)) + 1 if scores else 0
