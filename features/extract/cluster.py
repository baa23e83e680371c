"""The extraction of `extract` on a Ray cluster: every part of the plan is read and written by itself.

The parts are the same as on one machine, so a run can be begun on one and gone on with on the other.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from features import cluster as clusters
from features import engine as engines
from features import extract, store
from features.cluster import Cluster, Source
from features.datasets.decoding import batch_size
from features.engine import Reading
from features.networks.canonical import own_copy
from features.networks.zoo import Model
from features.progress import Progress, Task, finish
from features.store import Manifest, Writer


def choose(
    model: Model,
    cluster: Cluster,
    stages: Sequence[str] | None = None,
    pool: str = "mean",
    precision: str = "auto",
    device: str = "auto",
    engine: str = "auto",
) -> Reading:
    """As `engine.choose`, on a worker of a cluster: one with a GPU, if there are any and 'cpu' is not asked for.

    What is fast where a run is started says nothing of other machines. Raises FeatureError as `engine.choose` does, and
    if the cluster does not answer.
    """
    network, choices = model.network, (stages, pool, precision, device, engine)
    if cluster.address is None:
        return engines.choose(network, *choices)
    with clusters.connected(cluster) as ray:
        gpus = 1 if device != "cpu" and clusters.has_gpus(ray) else 0
        chosen = ray.remote(num_gpus=gpus, max_retries=0)(engines.choose)
        return ray.get(chosen.remote(own_copy(network, "cpu"), *choices))


def to_folder(
    model: Model,
    source: Source,
    reading: Reading,
    folder: Path,
    cluster: Cluster,
    size: int | None = None,
) -> Task[Manifest]:
    """Read a source of images into a folder of Parquet parts, as `extract.to_folder` does, on all workers of a cluster.

    source, folder: must be the same from every machine, on a shared file system or as fsspec's addresses ('s3://...').
    Raises StoreError and DatasetError as `extract.to_folder` does, FeatureError if Ray is not there or a worker fails.
    """
    images = source.open()
    planned = extract.plan(model, images, reading, size or batch_size(model.spec.preprocessing, reading.device))
    with closing(Writer(folder, planned)) as writer:
        missing = writer.missing
        if writer.finished:
            extract.need_rows(writer.finished, folder)
            return writer.finished
        before = done = len(images) - sum(len(planned.parts[number]) for number in missing)
        began, made_with = time.monotonic(), {"device": reading.device}
        yield Progress(done, len(images), "image", "starting Ray", before)
        reading = replace(reading, device=torch.device(reading.device).type)  # a worker sees no GPU but its own
        shared = replace(model, network=own_copy(model.network, "cpu"))  # workers may have no GPU
        work = _Work(shared, source, images.digest, reading, planned, folder)
        for number, ran in clusters.run(work, missing, cluster):
            done += len(planned.parts[number])
            made_with = ran
            yield Progress(done, len(images), "image", before=before)
        rate = (done - before) / max(time.monotonic() - began, 1e-9) if missing else None
        manifest = writer.finish(rate, made_with | {"cluster": "ray"})
    extract.need_rows(manifest, folder)
    return manifest


@dataclass(frozen=True, eq=False)
class _Work:
    """All that a worker needs; the images are opened again there."""

    model: Model
    source: Source
    images_digest: str
    reading: Reading
    planned: Manifest
    folder: Path

    @property
    def on_gpu(self) -> bool:
        return self.reading.device.startswith("cuda")

    def begin(self) -> Callable[[int], dict[str, str]]:
        """What reads a part, writes it and says what ran it, and where."""
        images = self.source.open_same(self.images_digest)
        reader = extract.PartReader(self.model, images, self.reading, self.planned)

        def read(number: int) -> dict[str, str]:
            for part, task in reader.tasks([number]):
                store.write_part(self.folder, self.planned, part, finish(task))
            return reader.made_with

        return read
