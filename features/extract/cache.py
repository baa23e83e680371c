"""Features that were read before are not read again: kept in the cache folder, under what made them."""

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from features import engine, files, store
from features.datasets import ImageSet
from features.datasets.decoding import batch_size
from features.devices import device_of
from features.extract.local import planned_manifest, to_folder
from features.networks.zoo import Model
from features.progress import Progress, Task
from features.store import FeatureSet

FORMAT = "npy"  # of which rows in any order can be read without the others
MOST_BYTES = 20 * 2**30
IN_USE = 6 * 3600  # seconds since it was asked for within which nothing is taken away
PAUSE = 0.5  # seconds between two looks whether another run has ended


def cached(model: Model, images: ImageSet, stages: Sequence[str]) -> Task[FeatureSet]:
    """Some stages (of `engine.readable`), means over positions in fp32, and predictions, from the cache or into it.

    A run that was killed is gone on with. Whoever wants what another run is reading waits for it. What was asked for
    least lately goes when the cache holds more than MOST_BYTES. Raises DatasetError and FeatureError as
    `extract.to_folder`, StoreError where the cache folder cannot be written to.
    """
    plan = engine.choose(model.network, stages, "mean", "fp32", str(device_of(model.network)), engine.TORCH)
    size = batch_size(model.spec.preprocessing, plan.device)
    made_of = [model.key, planned_manifest(model, images, plan, size, FORMAT).differing()]
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    folder = files.cache_folder("features") / digest[:32]
    with store.FEATURES.errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _make_room(folder)
    lock = FileLock(_lock_of(folder))
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            yield Progress(0, len(images), "image", "another run is reading the same")
            time.sleep(PAUSE)
    try:
        yield from to_folder(model, images, plan, folder, size, FORMAT, replace=True)
        with suppress(OSError):
            folder.touch()  # it was asked for just now
        return store.open_features(folder)
    finally:
        lock.release()


def _make_room(wanted: Path) -> None:
    """Take away what was asked for least lately until no more than MOST_BYTES are left, except of the last hours."""
    held = []
    for folder in wanted.parent.iterdir():
        with suppress(OSError):
            if folder.is_dir() and folder != wanted:
                size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                held.append((folder.stat().st_mtime, size, folder))
    total = sum(size for _, size, _ in held)
    for asked, size, folder in sorted(held):
        if total <= MOST_BYTES or time.time() - asked < IN_USE:
            break
        lock = FileLock(_lock_of(folder))
        with suppress(OSError, Timeout), lock.acquire(timeout=0):  # nobody is writing there
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink()
            total -= size


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
