"""Decodes image sets ahead and hands them, batch by batch, to whoever works on them."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from features.datasets import ImageSet, Rejected, decode_processes
from features.datasets.image_set import FileOpener
from features.devices import device_of
from features.errors import DatasetError, ImageError
from features.networks.preprocessing import Preprocessing
from features.networks.zoo import Model
from features.progress import Progress, Task

DECODERS = max(2, min(16, os.cpu_count() or 2))
AHEAD = 2
FEW = 500  # images for which no processes are started
LOW_PRIORITY = 10
GPU_FACTOR = 8


@dataclass(frozen=True, eq=False)
class Batch:
    """Images ready for the network.

    rows: (N,) int64, their positions in the image set; pixels: (N, C, S, S) from 0 to 255, to be scaled.
    rejected: those that could not be read. seen: how many there were, readable or not.
    """

    rows: np.ndarray
    pixels: Tensor
    rejected: tuple[Rejected, ...]
    seen: int


def batches(
    images: ImageSet,
    preprocessing: Preprocessing,
    size: int,
    parts: Sequence[range] | None = None,
    device: str = "cpu",
    processes: int | None = None,
) -> Generator[Batch, None, None]:
    """An image set as batches of at most `size`, in order, decoded ahead in threads.

    device: where their pixels go: those for a GPU lie in memory that it copies from by itself.
    processes: how many decode instead, where there are enough images and these lie in files; None for as many as the
    device is worth.
    parts: the images to read, None for all. No batch has images of two parts, and the next part is decoded while
    somebody is busy with what came of the last. Images that cannot be read are left out of the pixels and listed in
    their batch; a batch can be empty.
    """
    shape = (preprocessing.channels, preprocessing.crop, preprocessing.crop)
    parts = [range(len(images))] if parts is None else parts
    spans = (part[start : start + size] for part in parts for start in range(0, len(part), size))
    with ExitStack() as stack:
        processes = processes_for(device) if processes is None else processes
        processes = processes if preprocessing.pixel_type == "uint8" else 0
        submit: Callable[[range, np.ndarray], list[Future[list[str]]]]
        if processes and isinstance(images.opener, FileOpener) and sum(map(len, parts)) >= FEW:
            shared = stack.enter_context(decode_processes.shared(preprocessing, processes))
            submit, ahead = partial(shared.submit, images.opener), AHEAD + shared.capacity // size
        else:
            pool = stack.enter_context(ThreadPoolExecutor(DECODERS, initializer=_give_way))
            submit, ahead = partial(_submit, pool, images, preprocessing), AHEAD

        def begin(rows: range) -> tuple[range, Tensor, list[Future[list[str]]]]:
            # Filled by decoders: stacking with torch would wake its threads, which then spin on the decoders' cores.
            pixels = _room((len(rows), *shape), preprocessing.pixel_type, device)
            return rows, pixels, submit(rows, pixels.numpy())

        queue = deque(begin(rows) for rows in islice(spans, ahead))
        try:
            while queue:
                rows, pixels, futures = queue[0]
                wait(futures, return_when=FIRST_EXCEPTION)
                reasons = [reason for future in futures for reason in future.result()]
                queue.popleft()
                queue.extend(begin(rows) for rows in islice(spans, 1))
                yield _assemble(images, rows, pixels, reasons)
        finally:
            # What has begun is waited for, since whoever goes on may close what it reads from.
            wait([future for _, _, futures in queue for future in futures if not future.cancel()])


def _submit(
    pool: ThreadPoolExecutor, images: ImageSet, preprocessing: Preprocessing, rows: range, pixels: np.ndarray
) -> list[Future[list[str]]]:
    """Have images' pixels written to `pixels`, (N, C, S, S), by threads; says of each why it cannot be read."""

    def decode(row: int, out: np.ndarray) -> list[str]:
        try:
            out[:] = preprocessing.framed_array(images.open(row))
        except ImageError as error:
            return [str(error)]
        return [""]

    return [pool.submit(decode, row, out) for row, out in zip(rows, pixels, strict=True)]


def processes_for(device: str) -> int:
    """How many processes decode for a device: one a core for a GPU, none for a CPU, which needs its cores itself."""
    return (os.cpu_count() or 1) if device.startswith("cuda") else 0


def _give_way() -> None:
    """Let the network go first on the cores that this thread shares with it.

    A decoder that interrupts one of its threads makes all of them wait. Where the network runs elsewhere, or waits for
    the next batch, decoders have the cores to themselves. The lowest priority would let other programs starve them.
    Only Linux has priorities of threads.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW_PRIORITY)


def _room(shape: tuple[int, ...], kind: str, device: str) -> Tensor:
    """Memory for a batch's pixels; for a GPU pinned, from where it copies without anybody's help."""
    dtype = getattr(torch, kind)
    if device.startswith("cuda"):
        with suppress(RuntimeError):  # no more memory that could be pinned
            return torch.empty(shape, dtype=dtype, pin_memory=True)
    return torch.empty(shape, dtype=dtype)


def _assemble(images: ImageSet, rows: range, pixels: Tensor, reasons: Sequence[str]) -> Batch:
    """reasons: why each image cannot be read, '' for those that can."""
    rejected = tuple(Rejected(images.ids[row], reason) for row, reason in zip(rows, reasons, strict=True) if reason)
    if rejected:
        pixels = torch.from_numpy(pixels.numpy()[[not reason for reason in reasons]])
    good = [row for row, reason in zip(rows, reasons, strict=True) if not reason]
    return Batch(np.array(good, dtype=np.int64), pixels, rejected, len(rows))


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
    need_images(images)
    preprocessing, device = model.spec.preprocessing, str(device_of(model.network))
    size = size or batch_size(preprocessing)
    with closing(batches(images, preprocessing, size, device=device)) as stream:
        rows, rejected = yield from run_through(stream, len(images), work)
    need_some(rows, images, rejected)
    return rows, rejected


def need_images(images: ImageSet) -> None:
    """Raises DatasetError if there are none."""
    if not len(images):
        raise DatasetError(f"{images.name} has no images left. Choose at least one.")


def need_some(read: Sized, images: ImageSet, rejected: Sequence[Rejected]) -> None:
    """Raises DatasetError if none was read."""
    if not len(read):
        raise DatasetError(f"None of the {len(images)} images could be read; the first: {rejected[0].reason}")


def run_through(
    stream: Iterator[Batch], n_images: int, work: Callable[[Batch], Iterable[float]]
) -> Task[tuple[np.ndarray, tuple[Rejected, ...]]]:
    """As `through`, of the next `n_images` of a stream of batches, also where none of them can be read."""
    done = 0
    rows: list[np.ndarray] = []
    rejected: list[Rejected] = []
    while done < n_images:
        batch = next(stream)
        for share in work(batch) if len(batch.rows) else ():
            yield Progress(done + int(share * batch.seen), n_images, "image")
        rows.append(batch.rows)
        rejected += batch.rejected
        done += batch.seen
        yield Progress(done, n_images, "image")
    return np.concatenate(rows), tuple(rejected)


def pictures(images: ImageSet, rows: Sequence[int]) -> list[Image.Image]:
    """The images at `rows`; a grey square stands for one that cannot be read."""
    opened = []
    for row in rows:
        try:
            opened.append(images.open(int(row)))
        except ImageError:
            opened.append(Image.new("RGB", (32, 32), "grey"))
    return opened
