"""The extraction of `extract` on a Ray cluster: every part of the plan is read and written by itself.

An extra (requirements-ray.txt). The parts are the same as on one machine, so a run can be begun on one and gone on with
on the other, and a worker that dies takes nothing with it but the part that it had begun, which another reads again.
"""

import logging
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from features import datasets, extract, store
from features import engine as engines
from features.datasets import ImageSet
from features.datasets.decoding import batch_size
from features.engine import Plan
from features.errors import DatasetError, FeatureError
from features.networks.canonical import own_copy
from features.networks.zoo import Model
from features.progress import Progress, Task, finish
from features.store import Manifest, Writer

PATIENCE = 10.0  # seconds


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster. address: None starts one on this machine. workers: networks at a time, None for as many as fit."""

    address: str | None = None
    workers: int | None = None


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
    with _connected(cluster) as ray:
        gpus = 1 if device != "cpu" and ray.cluster_resources().get("GPU", 0) >= 1 else 0
        chosen = ray.remote(num_gpus=gpus, max_retries=0)(engines.choose)
        return ray.get(chosen.remote(own_copy(network, "cpu"), *choices))


def decide(model: Model, plan: Plan, folder: Path, cluster: Cluster, size: int | None = None) -> Plan:
    """As `extract.decide`, timed on a worker: what it tells is what all workers keep to, and stands in the manifest."""
    if not plan.is_open or cluster.address is None:
        return extract.decide(model, plan, folder, size)
    if (begun := extract.begun_with(plan, folder)) is not None:
        return begun
    preprocessing = model.spec.preprocessing
    with _connected(cluster) as ray:
        on_gpu = plan.device.startswith("cuda")
        threads = 1 if on_gpu else _threads(cluster)
        timed = ray.remote(num_cpus=threads, num_gpus=1 if on_gpu else 0, max_retries=0)(_decided_there)
        network, size = own_copy(model.network, "cpu"), size or batch_size(preprocessing, plan.device)
        return ray.get(timed.remote(threads, network, preprocessing, plan, size, model.key))


def _decided_there(threads: int, *asked: Any) -> Plan:
    torch.set_num_threads(threads)  # as many as it will run with
    return engines.decide(*asked)


def to_folder(
    model: Model,
    source: str,
    plan: Plan,
    folder: Path,
    cluster: Cluster,
    size: int | None = None,
    data_root: str | None = None,
) -> Task[Manifest]:
    """Read a source of images into a folder of Parquet parts, as `extract.to_folder` does, on all workers of a cluster.

    plan: one that is open is decided first, as `decide`. source, folder: must be the same from every machine, on a
    shared file system or as fsspec's addresses ('s3://...').
    Raises StoreError and DatasetError as `extract.to_folder` does, FeatureError if Ray is not there or a worker fails.
    """
    images = datasets.open_images(source, data_root)
    plan = decide(model, plan, folder, cluster, size)
    size = size or batch_size(model.spec.preprocessing, plan.device)
    planned = extract.planned_manifest(model, images, plan, size)
    with closing(Writer(folder, planned)) as writer:
        missing = writer.missing
        if writer.finished:
            extract.need_rows(writer.finished, folder)
            return writer.finished
        before = done = len(images) - sum(len(planned.parts[number]) for number in missing)
        began, made_with = time.monotonic(), {"device": plan.device}
        yield Progress(done, len(images), "image", "starting Ray", before)
        plan = replace(plan, device=torch.device(plan.device).type)  # a worker sees no GPU but its own
        shared = replace(model, network=own_copy(model.network, "cpu"))  # workers may have no GPU
        work = _Work(shared, source, data_root, images.digest, plan, planned, folder)
        for row in _run(missing, work, cluster) if missing else ():
            if row["error"]:
                raise FeatureError(row["error"])
            done += len(planned.parts[row["part"]])
            made_with = {"runs_on": row["runs_on"], "device": row["device"]}
            yield Progress(done, len(images), "image", before=before)
        rate = (done - before) / max(time.monotonic() - began, 1e-9) if missing else None
        manifest = writer.finish(rate, made_with | {"cluster": "ray"})
    extract.need_rows(manifest, folder)
    return manifest


@dataclass(frozen=True, eq=False)
class _Work:
    """All that a worker needs; the images are opened again there."""

    model: Model
    source: str
    data_root: str | None
    images_digest: str
    plan: Plan
    planned: Manifest
    folder: Path


def _run(parts: list[int], work: _Work, cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Reports of the parts, in the order in which they are finished."""
    with _connected(cluster) as ray:
        on_gpu = work.plan.device.startswith("cuda")
        threads = 1 if on_gpu else _threads(cluster)
        ray.data.DataContext.get_current().enable_progress_bars = False  # there is one of ours
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        rows = ray.data.from_items([{"part": number} for number in parts], override_num_blocks=len(parts))
        reports = rows.map_batches(
            _Worker,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=cluster.workers or len(parts)),
            fn_constructor_args=(ray.put(work), threads),
            num_cpus=threads,
            num_gpus=1 if on_gpu else 0,
        )
        yield from reports.iter_rows()


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """The module ray, connected to a cluster. Raises FeatureError if Ray is not there or stops."""
    try:
        import ray
    except ImportError as error:
        raise FeatureError(f"Ray is not installed ({error}). Run `pip install -r requirements-ray.txt`.") from error
    from ray.exceptions import RayError

    started = not ray.is_initialized()
    if started:
        need_answer(cluster.address)
    try:
        if started:
            _join(ray, cluster.address)
        yield ray
    except (RayError, ConnectionError) as error:
        if isinstance(cause := getattr(error, "cause", None), FeatureError):
            raise cause from error
        reason = str(error).strip().splitlines()[-1]
        raise FeatureError(
            f"The cluster stopped: {reason}. Finished parts are whole: run the same command again to go on."
        ) from error
    finally:
        if started:
            ray.shutdown()


def _join(ray: Any, address: str | None) -> None:
    try:
        ray.init(address, include_dashboard=False, log_to_driver=False, configure_logging=False)
    except ConnectionError as error:
        raise FeatureError(
            f"The Ray cluster at {address} could not be joined: {error}. If it asks for a token, as newer versions of "
            "Ray do, set RAY_AUTH_MODE=token."
        ) from error


def need_answer(address: str | None) -> None:
    """Raises FeatureError if nothing listens at a host and port. Ray itself tries for more than a minute."""
    host, found, port = (address or "").removeprefix("ray://").rpartition(":")
    if not found or not port.isdecimal():
        return  # 'auto' and names that only Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise FeatureError(
            f"No Ray cluster answers at {address}: {error}. Start one with `ray start --head`, or check the address."
        ) from error


def _threads(cluster: Cluster) -> int:
    """Cores of each worker: a machine's, divided among the workers that were asked for."""
    import ray

    cores = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    cores = [number for number in cores if number >= 1] or [1]  # a head that computes nothing has none
    workers_here = -(-(cluster.workers or len(cores)) // len(cores))
    return max(1, int(min(cores)) // workers_here)


class _Worker:
    """One network on one machine, for as many parts as it gets."""

    def __init__(self, work: Any, threads: int) -> None:
        import ray

        self.work: _Work = ray.get(work)
        torch.set_num_threads(threads)
        self.error, self.reader = "", None
        try:
            self.reader = extract.PartReader(self.work.model, self._images(), self.work.plan, self.work.planned)
        except (FeatureError, ImportError, RuntimeError) as error:  # for others Ray starts one worker after another
            self.error = str(error)

    def _images(self) -> ImageSet:
        import ray

        images = datasets.open_images(self.work.source, self.work.data_root)
        if images.digest != self.work.images_digest:
            raise DatasetError(
                f"{self.work.source} holds other images on {ray.util.get_node_ip_address()} than where this was "
                "started. Give a place that is the same from every machine."
            )
        return images

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        (number,) = batch["part"].tolist()
        report = {"part": number, "error": self.error, "runs_on": "", "device": ""}
        if self.reader is not None:
            try:
                for part, task in self.reader.tasks([number]):
                    store.write_part(self.work.folder, self.work.planned, part, finish(task))
                report |= self.reader.made_with
            except FeatureError as error:
                report["error"] = str(error)
        return {name: [value] for name, value in report.items()}
