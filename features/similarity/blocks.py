"""CKA between all blocks of two networks while both read the images: no features are kept.

A module apart, since PyTorch is imported here.
"""

from collections.abc import Generator
from contextlib import ExitStack, closing

import numpy as np
import torch

from features.datasets import ImageSet
from features.datasets.decoding import Batch, batch_size, batches, need_images
from features.devices import device_of
from features.engine import FastNetwork, forward
from features.networks.zoo import Model
from features.progress import Progress, Task
from features.results import Provenance, provenance
from features.similarity.layers import POOLED
from features.similarity.streaming import Batching, Stream, with_batch
from features.similarity.table import Similarity


def between_blocks(
    left: Model, right: Model | None, images: ImageSet, batching: Batching | None = None
) -> Task[Similarity]:
    """Unbiased CKA of every block of one network with every block of another, None for itself, pooled over positions.

    Images are read in random order, because minibatches must be random samples of them, each network's by its own
    preprocessing; those that cannot be read are left out. Raises DatasetError if there are no images, FeatureError if
    fewer than 4 can be read or a network puts out NaN or infinite values.
    """
    need_images(images)
    batching = with_batch(batching or Batching(), len(images))
    mixed = images.take(np.random.default_rng(batching.seed).permutation(len(images)).tolist())
    readers = [_Reader(model) for model in (left, right) if model is not None]
    size = min(reader.batch_size for reader in readers)
    stream = Stream(readers[0].names, None if right is None else readers[1].names, batching)
    done = 0
    with ExitStack() as stack:
        streams = [stack.enter_context(closing(reader.batches(mixed, size))) for reader in readers]
        for together in zip(*streams, strict=True):
            yield Progress(done, len(images), "image", "CKA of blocks")
            read = sorted(set.intersection(*({*batch.rows.tolist()} for batch in together)))
            if read:
                stream.add(*(reader.features(batch, read) for reader, batch in zip(readers, together, strict=True)))
            done += together[0].seen
    yield Progress(done, len(images), "image", "CKA of blocks")
    made = [_made(model, images, stream) for model in (left, right or left)]
    return stream.result(*made)


def _made(model: Model, images: ImageSet, stream: Stream) -> Provenance:
    return provenance(model, images).with_settings(form=POOLED, n_rejected=len(images) - stream.n_images)


class _Reader:
    """One network, made to read batches of images."""

    def __init__(self, model: Model) -> None:
        self.preprocessing, self.device = model.spec.preprocessing, device_of(model.network)
        self.network = FastNetwork(model.network, self.preprocessing, torch.float32, self.device)
        self.names = [name for name, _ in model.network.blocks()]
        self.batch_size = batch_size(self.preprocessing, str(self.device))

    def batches(self, images: ImageSet, size: int) -> Generator[Batch, None, None]:
        return batches(images, self.preprocessing, size, device=str(self.device))

    def features(self, batch: Batch, read: list[int]) -> dict[str, np.ndarray]:
        """Block -> (n, C) float32 of those images of a batch that are among `read`, rows of the set."""
        chosen = torch.from_numpy(np.flatnonzero(np.isin(batch.rows, read)))  # (n,)
        pixels = batch.pixels if len(chosen) == len(batch.rows) else batch.pixels[chosen]
        features = {}
        with torch.inference_mode():
            x = self.network.stem(pixels.to(self.device, memory_format=torch.channels_last))  # (n, C, H, W)
            for step in forward.steps(self.network.blocks(), x):
                features[step.name] = step.output.mean((2, 3), dtype=torch.float32).cpu().numpy()  # (n, C)
                del step  # its maps, before the next block makes its own
        return features
