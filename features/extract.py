"""Runs a network over an image set: features of every stage, in memory or into a folder."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from features import engine, store
from features.anatomy import anatomy
from features.datasets import ImageSet, Rejected
from features.engine import Engine, Reading
from features.errors import DatasetError, FeatureError, ImageError
from features.images import Preprocessing
from features.network import device_of
from features.progress import Progress, Result, Task
from features.store import Claim, FeatureSet, Manifest, Writer
from features.zoo import Model

DECODERS = max(2, min(16, os.cpu_count() or 2))
AHEAD = 2
LOW_PRIORITY = 10
GPU_FACTOR = 8


@dataclass(frozen=True, eq=False)
class Batch:
    """Images ready for the network.

    rows: (N,) int64, their positions in the image set; pixels: (N, C, S, S) uint8, to be scaled.
    rejected: those that could not be read. seen: how many there were, readable or not.
    """

    rows: np.ndarray
    pixels: Tensor
    rejected: tuple[Rejected, ...]
    seen: int


def batches(images: ImageSet, preprocessing: Preprocessing, size: int) -> Generator[Batch, None, None]:
    """An image set as batches of at most `size`, in order, decoded ahead in threads.

    Images that cannot be read are left out of the pixels and listed in their batch; a batch can be empty.
    """
    shape = (preprocessing.channels, preprocessing.crop, preprocessing.crop)

    def prepare(row: int, place: np.ndarray) -> Rejected | None:
        try:
            place[:] = preprocessing.framed(images.open(row)).numpy()
            return None
        except ImageError as error:
            return Rejected(images.ids[row], str(error))

    starts = iter(range(0, len(images), size))
    with ThreadPoolExecutor(DECODERS, initializer=_give_way) as pool:

        def submit(start: int) -> tuple[range, np.ndarray, list[Future[Rejected | None]]]:
            rows = range(start, min(start + size, len(images)))
            # Filled by decoders: stacking with torch would wake its threads, which then spin on the decoders' cores.
            pixels = np.empty((len(rows), *shape), np.uint8)
            return rows, pixels, [pool.submit(prepare, row, place) for row, place in zip(rows, pixels, strict=True)]

        queue = [submit(start) for start in islice(starts, AHEAD)]
        try:
            while queue:
                rows, pixels, futures = queue.pop(0)
                results = [future.result() for future in futures]
                queue += [submit(start) for start in islice(starts, 1)]
                yield _assemble(rows, pixels, results)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _give_way() -> None:
    """Let the network go first on the cores that this thread shares with it.

    A decoder that interrupts one of its threads makes all of them wait. Where the network runs elsewhere, or waits for
    the next batch, decoders have the cores to themselves. The lowest priority would let other programs starve them.
    Only Linux has priorities of threads.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW_PRIORITY)


def _assemble(rows: range, pixels: np.ndarray, results: Sequence[Rejected | None]) -> Batch:
    rejected = tuple(result for result in results if result is not None)
    if rejected:
        pixels = pixels[[result is None for result in results]]
    good = [row for row, result in zip(rows, results, strict=True) if result is None]
    return Batch(np.array(good, dtype=np.int64), torch.from_numpy(pixels), rejected, len(rows))


def batch_size(preprocessing: Preprocessing, device: str = "cpu") -> int:
    """Images per batch: about as many pixels as 32 images of 224 px, at least 16 and at most 256.

    On a GPU eight times as many, which keep a large one busy; the engine halves what does not fit a smaller one.
    """
    size = int(np.clip(32 * 224**2 // preprocessing.crop**2, 16, 256))
    return size * GPU_FACTOR if device.startswith("cuda") else size


def over(
    model: Model, images: ImageSet, work: Callable[[Tensor], None]
) -> Task[tuple[np.ndarray, tuple[Rejected, ...]]]:
    """Hand every batch to `work` as pixels (N, C, S, S) on the network's device, reporting after each.

    Returns the rows that were read, (N,) int64, and the images that were not.
    Raises DatasetError if there are no images or none could be read.
    """
    preprocessing, device = model.spec.preprocessing, device_of(model.network)

    def scaled(batch: Batch) -> tuple[()]:
        work(preprocessing.scaled(batch.pixels.to(device)))
        return ()

    return (yield from through(model, images, scaled))


def through(
    model: Model, images: ImageSet, work: Callable[[Batch], Iterable[float]], size: int | None = None
) -> Task[tuple[np.ndarray, tuple[Rejected, ...]]]:
    """As `over`, with whole batches, whose pixels are uint8 on the CPU.

    work: says how much of its batch is done, from 0 to 1, as often as it likes: work that takes long can so be watched
    and cancelled within a batch. size: images per batch.
    """
    _need_images(images)
    rows, rejected = yield from _through(model, images, work, size or batch_size(model.spec.preprocessing))
    _need_some(rows, images, rejected)
    return rows, rejected


def _need_images(images: ImageSet) -> None:
    if not len(images):
        raise DatasetError(f"{images.name} has no images left. Choose at least one.")


def _need_some(read: Sized, images: ImageSet, rejected: Sequence[Rejected]) -> None:
    if not len(read):
        raise DatasetError(f"None of the {len(images)} images could be read; the first: {rejected[0].reason}")


def _through(
    model: Model, images: ImageSet, work: Callable[[Batch], Iterable[float]], size: int
) -> Task[tuple[np.ndarray, tuple[Rejected, ...]]]:
    done = 0
    rows: list[np.ndarray] = []
    rejected: list[Rejected] = []
    with closing(batches(images, model.spec.preprocessing, size)) as stream:
        for batch in stream:
            for share in work(batch) if len(batch.rows) else ():
                yield Progress(done + int(share * batch.seen), len(images), "image")
            rows.append(batch.rows)
            rejected += batch.rejected
            done += batch.seen
            yield Progress(done, len(images), "image")
    return np.concatenate(rows), tuple(rejected)


def features(model: Model, images: ImageSet) -> Task[FeatureSet]:
    """The mean over space of every stage's output, and the predictions, in one pass in fp32.

    Raises DatasetError if no image can be read, FeatureError if the network puts out NaN or infinite values.
    """
    _need_images(images)
    reading = engine.choose(model.network, device=str(device_of(model.network)), precision="fp32", engine=engine.TORCH)
    runner = engine.TorchEngine(model.network, model.spec.preprocessing, reading)
    found = yield from _read(model, images, runner, reading, batch_size(model.spec.preprocessing))
    _need_some(found, images, found.rejected)
    return found


def to_folder(
    model: Model,
    images: ImageSet,
    reading: Reading,
    folder: Path,
    size: int | None = None,
    format: str = store.PARQUET,
) -> Task[Manifest]:
    """Read an image set into a folder of features, part by part, going on where an earlier run ended.

    size: images per batch; None is a default for the images' size. format: one of store.FORMATS; all but Parquet are
    made of Parquet parts, which lie inside the folder until all is read. Only the present part is held in memory.
    Raises StoreError as `store.Claim` does, DatasetError if no image can be read, FeatureError as `features` does.
    """
    _need_images(images)
    planned = plan(model, images, reading, size or batch_size(model.spec.preprocessing, reading.device), format)
    if format == store.PARQUET:
        return (yield from _to_parts(model, images, reading, folder, planned))
    store.need_local(format, folder)
    with Claim(folder, planned) as claim:
        if claim.finished:
            shutil.rmtree(folder / store.PARTS, ignore_errors=True)  # left by a run that was killed at its very end
            return claim.finished
        parts = replace(planned, format=store.PARQUET)
        there = sum(path.stat().st_size for path in (folder / store.PARTS).glob("part-*"))
        claim.need_room(planned.bytes_in_all + max(0, parts.bytes_in_all - there))
        yield from _to_parts(model, images, reading, folder / store.PARTS, parts)
        manifest = yield from store.write_as(folder / store.PARTS, claim, images.open)
        shutil.rmtree(folder / store.PARTS)
        return manifest


def _to_parts(model: Model, images: ImageSet, reading: Reading, folder: Path, planned: Manifest) -> Task[Manifest]:
    with closing(Writer(folder, planned)) as writer:
        parts, missing = planned.parts, writer.missing
        if writer.finished:
            need_rows(writer.finished, folder)
            return writer.finished
        read_part = PartReader(model, images, reading, planned)
        before = done = len(images) - sum(len(parts[number]) for number in missing)
        began = time.monotonic()
        for number in missing:
            writer.write(number, (yield from _shifted(read_part(number), done, len(images))))
            done += len(parts[number])
        rate = (done - before) / max(time.monotonic() - began, 1e-9) if missing else None
        manifest = writer.finish(rate, read_part.made_with)
    need_rows(manifest, folder)
    return manifest


def need_rows(manifest: Manifest, folder: Path) -> None:
    """Raises DatasetError if no image could be read."""
    if not manifest.n_rows:
        raise DatasetError(f"None of the {manifest.n_images} images could be read: see {folder / store.REJECTED}.")


class PartReader:
    """Reads the parts of a plan, each by itself. made_with: what runs the network, and where."""

    def __init__(self, model: Model, images: ImageSet, reading: Reading, planned: Manifest) -> None:
        self.model, self.images, self.reading, self.planned = model, images, reading, planned
        self.runner = engine.start(model.network, model.spec.preprocessing, reading, model.key)
        self.made_with = {"runs_on": self.runner.name, "device": reading.device}

    def __call__(self, number: int) -> Task[FeatureSet]:
        images = self.images.take(self.planned.parts[number])
        return _read(self.model, images, self.runner, self.reading, self.planned.settings["batch_size"])


def plan(model: Model, images: ImageSet, reading: Reading, size: int, format: str = store.PARQUET) -> Manifest:
    """What `to_folder` would write: shapes, numbers and sizes, before it starts. Raises StoreError if it cannot."""
    shapes = shapes_of(model, reading)
    dtype = "float16" if reading.pool == "none" else "float32"
    store.need_format(format, dtype)
    classes = range(model.spec.architecture.classes or 0)
    return Manifest(
        settings={
            **model.provenance(),
            "images": images.name,
            "images_digest": images.digest,
            "stages": list(reading.stages),
            "pool": reading.pool,
            "precision": reading.precision,
            "device": torch.device(reading.device).type,
            "engine": reading.engine,
            "batch_size": size,  # convolutions of another batch differ in the last digits
        },
        shapes=shapes,
        dtype=dtype,
        class_names=store.unique_names(images.class_names),
        prediction_names=store.unique_names(tuple(map(model.spec.class_name, classes))),
        labelled=images.labels is not None,
        n_images=len(images),
        part_images=store.part_images(shapes, dtype),
        format=format,
    )


def shapes_of(model: Model, reading: Reading) -> dict[str, tuple[int, ...]]:
    """The shape of one image's values at every stage of a reading: (D,), or (C, H, W) for unpooled maps."""
    built = anatomy(model.spec.architecture, model.spec.preprocessing.crop)
    outputs = {part.stage or part.name: part.outputs for part in built.parts}  # of a stage its last block's
    outputs |= {engine.LOGITS: outputs["head"], engine.POOLED: (model.spec.architecture.features,)}
    return {name: outputs[name] if reading.pool == "none" else outputs[name][:1] for name in reading.stages}


def _read(model: Model, images: ImageSet, runner: Engine, reading: Reading, size: int) -> Task[FeatureSet]:
    """The features of a set that fits into memory; a set without rows if no image can be read."""
    dtype = np.float16 if reading.pool == "none" else np.float32
    stages = {name: np.empty((len(images), *shape), dtype) for name, shape in shapes_of(model, reading).items()}
    classes = model.spec.architecture.classes
    logits = None if classes is None else np.empty((len(images), classes), np.float32)
    done = 0

    begun: list[Callable[[], dict[str, np.ndarray]]] = []

    def work(batch: Batch) -> tuple[()]:
        begun.append(runner.begin(batch.pixels))
        if len(begun) > 1:  # a GPU has its next batch before the last one is put away
            keep(begun.pop(0)())
        return ()

    def keep(found: dict[str, np.ndarray]) -> None:
        nonlocal done
        _need_finite(found, model)
        here = slice(done, done + len(next(iter(found.values()))))
        for name, values in stages.items():
            with np.errstate(over="ignore"):  # it is told below
                values[here] = found[name]
        if dtype == np.float16:  # which holds less than what the engine puts out
            _need_finite({name: values[here] for name, values in stages.items()}, model)
        if logits is not None:
            logits[here] = found[engine.LOGITS]
        done = here.stop

    rows, rejected = yield from _through(model, images, work, size)
    for read in begun:
        keep(read())
    predictions = confidences = None
    if logits is not None:
        probabilities = softmax(logits[:done])  # (N, K)
        predictions, confidences = probabilities.argmax(1), probabilities.max(1)  # (N,)
    return FeatureSet(
        stages={name: values[:done] for name, values in stages.items()},
        rows=rows,
        ids=tuple(images.ids[row] for row in rows),
        uris=tuple(images.uri(row) for row in rows),
        labels=None if images.labels is None else images.labels[rows],
        class_names=images.class_names,
        predictions=predictions,
        prediction_names=tuple(map(model.spec.class_name, range(classes or 0))),
        confidences=confidences,
        rejected=rejected,
        provenance=provenance(model, images),
    )


def _shifted(task: Task[Result], done: int, total: int) -> Task[Result]:
    """A task that is a part of a longer one, `done` units of which are finished."""
    while True:
        try:
            progress = next(task)
        except StopIteration as end:
            return end.value
        yield replace(progress, done=done + progress.done, total=total)


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


def _need_finite(found: dict[str, np.ndarray], model: Model) -> None:
    for name, values in found.items():
        if values.dtype == np.float16 and np.isinf(values).any() and not np.isnan(values).any():
            raise FeatureError(
                f"{model.spec.name} puts out values at {name} that float16 cannot hold (above 65,504), in which maps "
                "are written. Leave this stage out, or pool it."
            )
        finite(torch.from_numpy(values), model)


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
