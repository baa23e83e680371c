"""Runs a network over an image set and pools what every stage puts out."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from features.datasets import ImageSet, Rejected
from features.errors import DatasetError, FeatureError, ImageError
from features.images import Preprocessing
from features.network import device_of
from features.progress import Progress, Task
from features.zoo import Model

DECODERS = 2
AHEAD = 2


@dataclass(frozen=True, eq=False)
class Batch:
    """Images ready for the network.

    rows: (N,) int64, their positions in the image set; pixels: (N, C, S, S) float32.
    rejected: those that could not be read. seen: how many there were, readable or not.
    """

    rows: np.ndarray
    pixels: Tensor
    rejected: tuple[Rejected, ...]
    seen: int


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Pooled features and predictions of N images.

    stages: name -> (N, D) float32, the stage's output averaged over space.
    rows: (N,) positions in the image set, ascending; ids: their names. labels: (N,) int64 into class_names,
        or None.
    predictions: (N,) int64, confidences: (N,) softmax of the predicted class in [0, 1]; both None for a
        network without a head.
    rejected: images that could not be read.
    """

    stages: dict[str, np.ndarray]
    rows: np.ndarray
    ids: tuple[str, ...]
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    predictions: np.ndarray | None
    confidences: np.ndarray | None
    rejected: tuple[Rejected, ...]
    provenance: dict[str, Any]

    def __len__(self) -> int:
        return len(self.rows)


def batches(images: ImageSet, preprocessing: Preprocessing, size: int) -> Generator[Batch, None, None]:
    """An image set as batches of at most `size`, in order, decoded ahead in threads.

    Images that cannot be read are left out of the pixels and listed in their batch; a batch can be empty.
    """

    def prepare(row: int) -> Tensor | Rejected:
        try:
            return preprocessing(images.open(row))
        except ImageError as error:
            return Rejected(images.ids[row], str(error))

    starts = iter(range(0, len(images), size))
    with ThreadPoolExecutor(DECODERS) as pool:

        def submit(start: int) -> tuple[range, list[Future[Tensor | Rejected]]]:
            rows = range(start, min(start + size, len(images)))
            return rows, [pool.submit(prepare, row) for row in rows]

        queue = [submit(start) for start in islice(starts, AHEAD)]
        try:
            while queue:
                rows, futures = queue.pop(0)
                results = [future.result() for future in futures]
                queue += [submit(start) for start in islice(starts, 1)]
                yield _assemble(rows, results, preprocessing)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _assemble(rows: range, results: Sequence[Tensor | Rejected], preprocessing: Preprocessing) -> Batch:
    good = [(row, result) for row, result in zip(rows, results, strict=True) if isinstance(result, Tensor)]
    rejected = tuple(result for result in results if isinstance(result, Rejected))
    shape = (preprocessing.channels, preprocessing.crop, preprocessing.crop)
    pixels = torch.stack([result for _, result in good]) if good else torch.empty(0, *shape)  # (N, C, S, S)
    return Batch(np.array([row for row, _ in good], dtype=np.int64), pixels, rejected, len(rows))


def batch_size(preprocessing: Preprocessing) -> int:
    """Images per batch: about as many pixels as 32 images of 224 px, at least 16 and at most 256."""
    return int(np.clip(32 * 224**2 // preprocessing.crop**2, 16, 256))


def over(
    model: Model, images: ImageSet, work: Callable[[Tensor], None]
) -> Task[tuple[np.ndarray, tuple[Rejected, ...]]]:
    """Hand every batch to `work` as pixels (N, C, S, S) on the network's device, reporting after each.

    Returns the rows that were read, (N,) int64, and the images that were not.
    Raises DatasetError if there are no images or none could be read.
    """
    if not len(images):
        raise DatasetError(f"{images.name} has no images left. Choose at least one.")
    device = device_of(model.network)
    done = 0
    rows: list[np.ndarray] = []
    rejected: list[Rejected] = []
    size = batch_size(model.spec.preprocessing)
    with closing(batches(images, model.spec.preprocessing, size)) as stream:
        for batch in stream:
            if len(batch.rows):
                work(batch.pixels.to(device))
            rows.append(batch.rows)
            rejected += batch.rejected
            done += batch.seen
            yield Progress(done, len(images), "image")
    kept = np.concatenate(rows)
    if not len(kept):
        raise DatasetError(f"None of the {len(images)} images could be read; the first: {rejected[0].reason}")
    return kept, tuple(rejected)


def features(model: Model, images: ImageSet) -> Task[FeatureSet]:
    """The mean over space of every stage's output, and the predictions, in one pass in fp32.

    Raises DatasetError if no image can be read, FeatureError if the network puts out NaN or infinite values.
    """
    pooled: dict[str, list[np.ndarray]] = {name: [] for name in model.network.stage_names}
    logits: list[np.ndarray] = []

    def work(pixels: Tensor) -> None:
        with torch.inference_mode():
            for name, activation in model.network.walk(pixels):
                if name in pooled:
                    pooled[name].append(activation.mean((2, 3)).cpu().numpy())  # (N, C)
                elif name == "logits":
                    logits.append(finite(activation, model).cpu().numpy())  # (N, K)

    rows, rejected = yield from over(model, images, work)
    predictions = confidences = None
    if model.network.classifier is not None:
        probabilities = softmax(np.concatenate(logits))  # (N, K)
        predictions = probabilities.argmax(1)  # (N,)
        confidences = probabilities.max(1)  # (N,)
    return FeatureSet(
        stages={name: np.concatenate(parts) for name, parts in pooled.items()},
        rows=rows,
        ids=tuple(images.ids[row] for row in rows),
        labels=None if images.labels is None else images.labels[rows],
        class_names=images.class_names,
        predictions=predictions,
        confidences=confidences,
        rejected=rejected,
        provenance=provenance(model, images),
    )


def provenance(model: Model, images: ImageSet) -> dict[str, Any]:
    """What made a result: the network, its weights and preprocessing, the images, the precision."""
    return {
        **model.provenance(),
        "images": images.name,
        "images_digest": images.digest,
        "precision": "fp32",
        "device": str(device_of(model.network)),
    }


def finite(values: Tensor, model: Model) -> Tensor:
    """The same values. Raises FeatureError if one of them is NaN or infinite, which would pass for an answer."""
    if not torch.isfinite(values).all():
        raise FeatureError(
            f"{model.spec.name} puts out NaN or infinite values, so its weights are broken or fit another "
            "preprocessing. Load the weights again, or choose other ones."
        )
    return values


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, K) of logits (N, K), in float64 until the end."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return (shifted / shifted.sum(1, keepdims=True)).astype(np.float32)


def pictures(images: ImageSet, rows: Sequence[int]) -> list[Image.Image]:
    """The images at `rows`; a grey square stands for one that cannot be read."""
    found = []
    for row in rows:
        try:
            found.append(images.open(int(row)))
        except ImageError:
            found.append(Image.new("RGB", (32, 32), "grey"))
    return found
