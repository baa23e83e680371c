"""The extraction of `extract` on a Ray cluster: every part of the plan is read and written by itself.

The parts are the same as on one machine, so a run can be begun on one and gone on with on the other.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from features import cluster as clusters
from features import engine as engines
from features import extract, store
from features.cluster import Cluster, Source
from features.datasets import Rejected
from features.datasets.decoding import batch_size
from features.engine import Plan
from features.networks.canonical import own_copy
from features.networks.zoo import Model
from features.progress import Progress, Task, finish
from features.store import Manifest, Parts, Writer


def choose(
    model: Model,
    cluster: Cluster,
    stages: Sequence[str] | None = None,
    pool: str = "mean",
    precision: str = "auto",
    device: str = "auto",
    engine: str = "auto",
) -> Plan:
    """As `engine.choose`, on a worker of a cluster: one with a GPU, if there are any and 'cpu' is not asked for.

    What there is where a run is started says nothing of other machines. Raises FeatureError as `engine.choose` does,
    and if the cluster does not answer.
    """
    network, choices = model.network, (stages, pool, precision, device, engine)
    if cluster.address is None:
        return engines.choose(network, *choices)
    with clusters.connected(cluster) as ray:
        gpus = 1 if device != "cpu" and clusters.has_gpus(ray) else 0
        chosen = ray.remote(num_gpus=gpus, max_retries=0)(engines.choose)
        return ray.get(chosen.remote(own_copy(network, "cpu"), *choices))


def decide(
    model: Model, plan: Plan, folder: Path, cluster: Cluster, size: int | None = None, anew: bool = False
) -> Plan:
    """As `extract.decide`, timed on a worker: what it tells is what all workers keep to, and stands in the manifest."""
    if not plan.is_open or cluster.address is None:
        return extract.decide(model, plan, folder, size, anew)
    if (begun := extract.begun_with(model, plan, folder, anew)) is not None:
        return begun
    preprocessing = model.spec.preprocessing
    with clusters.connected(cluster) as ray:
        on_gpu = plan.device.startswith("cuda")
        threads = 1 if on_gpu else clusters.threads_of(cluster)
        timed = ray.remote(num_cpus=threads, num_gpus=1 if on_gpu else 0, max_retries=0)(_decided_there)
        network, size = own_copy(model.network, "cpu"), size or batch_size(preprocessing, plan.device)
        return ray.get(timed.remote(threads, network, preprocessing, plan, size, model.key))


def _decided_there(threads: int, *asked: Any) -> Plan:
    torch.set_num_threads(threads)  # as many as it will run with
    return engines.decide(*asked)


def to_folder(
    model: Model,
    source: Source,
    plan: Plan,
    folder: Path,
    cluster: Cluster,
    size: int | None = None,
    replace: bool = False,
) -> Task[Manifest]:
    """Read a source of images into a folder of Parquet parts, as `extract.to_folder` does, on all workers of a cluster.

    plan: one that is open is decided first, as `decide`. source, folder: must be the same from every machine, on a
    shared file system or as fsspec's addresses ('s3://...').
    Raises StoreError and DatasetError as `extract.to_folder` does, FeatureError if Ray is not there or a worker fails.
    """
    images = source.open()
    plan = decide(model, plan, folder, cluster, size, replace)
    size = size or batch_size(model.spec.preprocessing, plan.device)
    planned = extract.planned_manifest(model, images, plan, size)
    with store.claimed(folder, planned, replace) as claim:
        writer = Writer(claim, planned)
        manifest = writer.finished or writer.collected()
        if manifest is None:
            plan = dataclasses.replace(plan, device=torch.device(plan.device).type)  # one GPU, its own, a worker
            shared = dataclasses.replace(model, network=own_copy(model.network, "cpu"))  # workers may have no GPU
            work = _Work(shared, source, images.digest, plan, writer.parts)
            manifest = yield from _to_parts(work, writer, cluster, images.left_aside())
    extract.need_rows(manifest, folder)
    return manifest


def _to_parts(work: "_Work", writer: Writer, cluster: Cluster, aside: Sequence[Rejected]) -> Task[Manifest]:
    missing, planned = writer.missing, writer.manifest
    before = done = planned.n_images - sum(len(planned.parts[number]) for number in missing)
    began, made_with = time.monotonic(), {"device": work.plan.device}
    yield Progress(done, planned.n_images, "image", "starting Ray", before)
    for number, ran in clusters.run(work, missing, cluster):
        done += len(planned.parts[number])
        made_with = ran
        yield Progress(done, planned.n_images, "image", before=before)
    rate = (done - before) / max(time.monotonic() - began, 1e-9) if missing else None
    return writer.finish(rate, made_with | {"cluster": "ray"}, aside)


@dataclass(frozen=True, eq=False)
class _Work:
    """All that a worker needs; the images are opened again there."""

    model: Model
    source: Source
    images_digest: str
    plan: Plan
    parts: Parts

    @property
    def on_gpu(self) -> bool:
        return self.plan.device.startswith("cuda")

    def begin(self) -> Callable[[int], dict[str, str]]:
        """What reads a part, writes it and says what ran it, and where."""
        images = self.source.open_same(self.images_digest)
        reader = extract.PartReader(self.model, images, self.plan, self.parts.manifest)

        def read(number: int) -> dict[str, str]:
            for part, task in reader.tasks([number]):
                self.parts.write(part, finish(task))
            return reader.made_with

        return read
