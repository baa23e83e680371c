"""Work on a Ray cluster: it is cut into numbered parts, and every part is done by itself, on whichever machine is free.

An extra (requirements-ray.txt). A worker that dies takes nothing with it but the part that it had begun, which another
does again.
"""

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from features import datasets
from features.datasets import Columns, ImageSet
from features.errors import DatasetError, FeatureError
from features.progress import Progress, Task

PATIENCE = 10.0  # seconds
PART_IMAGES = 2048  # at most: what was counted of a part takes up to 0.8 GB, which has to be sent
LEAST_PARTS = 16  # of a smaller set, so that several workers have something to do

Counted = TypeVar("Counted", bound="Mergeable")


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster. address: None starts one on this machine. workers: networks at a time, None for as many as fit."""

    address: str | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Source:
    """Where every machine opens the same images: as of `datasets.open_images`, cut to a balanced sample of `limit`."""

    name: str
    data_root: str | None = None
    limit: int | None = None
    columns: Columns = Columns()  # noqa: RUF009  # frozen

    def open(self) -> ImageSet:
        images = datasets.open_images(self.name, self.data_root, columns=self.columns)
        return images.sample(self.limit) if self.limit else images

    def open_same(self, digest: str) -> ImageSet:
        """The images, on a worker. Raises DatasetError if they are not those of this digest."""
        images = self.open()
        if images.digest != digest:
            import ray

            raise DatasetError(
                f"{self.name} holds other images on {ray.util.get_node_ip_address()} than where this was started. "
                "Give a place that is the same from every machine."
            )
        return images


class Work(Protocol):
    """All that workers need to know. on_gpu: whether each of them has a GPU of its own. It is sent to every worker."""

    @property
    def on_gpu(self) -> bool: ...

    def begin(self) -> Callable[[int], Any]:
        """On a worker, once: what does part number i there, and returns what is sent back."""
        ...


class Mergeable(Protocol):
    """What was counted of some images, of which that of others can be made a part."""

    def merge(self: Counted, other: Counted) -> Counted: ...


def ranges(n_images: int, batch_size: int) -> tuple[range, ...]:
    """Parts of a set that hold whole batches, which are so the same as on one machine, and do not depend on workers."""
    size = min(PART_IMAGES, -(-n_images // LEAST_PARTS))
    size = -(-size // batch_size) * batch_size
    return tuple(range(start, min(start + size, n_images)) for start in range(0, n_images, size))


def merged(work: Work, parts: Sequence[range], cluster: Cluster, whole: Counted | None = None) -> Task[Counted]:
    """What was counted of all parts of a set, merged in their order whichever is finished first.

    parts: one at least; number i of `work` counts parts[i]. whole: what they are merged into, None for the first one's.
    Raises as `run`.
    """
    waiting: dict[int, Counted] = {}  # finished before one that is to be merged first
    following, done, total = 0, 0, sum(map(len, parts))
    for number, counted in run(work, range(len(parts)), cluster):
        waiting[number] = counted
        while (next_one := waiting.pop(following, None)) is not None:
            whole = next_one if whole is None else whole.merge(next_one)
            following += 1
        done += len(parts[number])
        yield Progress(done, total, "image")
    assert whole is not None  # there is one part at least
    return whole


def run(work: Work, parts: Sequence[int], cluster: Cluster) -> Iterator[tuple[int, Any]]:
    """Parts and what came of them, in the order in which they are finished.

    Raises FeatureError if Ray is not there, or with the text of a FeatureError on a worker.
    """
    if not parts:
        return
    with connected(cluster) as ray:
        threads = 1 if work.on_gpu else threads_of(cluster)
        ray.data.DataContext.get_current().enable_progress_bars = False  # there is one of ours
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        rows = ray.data.from_items([{"part": number} for number in parts], override_num_blocks=len(parts))
        reports = rows.map_batches(
            _Worker,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=cluster.workers or len(parts)),
            fn_constructor_args=(ray.put(work), threads),
            num_cpus=threads,
            num_gpus=1 if work.on_gpu else 0,
        )
        for report in reports.iter_rows():
            if report["error"]:
                raise FeatureError(report["error"])
            yield report["part"], report["result"]


@contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
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
            f"The cluster stopped: {reason}. Run the same command again; parts that were written stay."
        ) from error
    finally:
        if started:
            ray.shutdown()


def has_gpus(ray: Any) -> bool:
    """Whether a worker of a connected cluster can have a GPU of its own."""
    return ray.cluster_resources().get("GPU", 0) >= 1


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
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return  # 'auto' and names that only Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise FeatureError(
            f"No Ray cluster answers at {address}: {error}. Start one with `ray start --head`, or check the address."
        ) from error


def threads_of(cluster: Cluster) -> int:
    """Cores of each worker: a machine's, divided among the workers that were asked for."""
    import ray

    cores = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    cores = [number for number in cores if number >= 1] or [1]  # a head that computes nothing has none
    workers_here = -(-(cluster.workers or len(cores)) // len(cores))
    return max(1, int(min(cores)) // workers_here)


class _Worker:
    """One worker, for as many parts as it gets."""

    def __init__(self, work: Any, threads: int) -> None:
        import ray

        torch.set_num_threads(threads)
        self.error = ""
        try:
            self.do: Callable[[int], Any] = ray.get(work).begin()
        except (FeatureError, ImportError, RuntimeError) as error:  # for others Ray starts one worker after another
            self.error = str(error)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        (number,) = batch["part"].tolist()
        result, error = None, self.error
        if not error:
            try:
                result = self.do(number)
            except FeatureError as problem:
                error = str(problem)
        results = np.empty(1, object)  # an array would be made of a result that is a list
        results[0] = result
        return {"part": [number], "error": [error], "result": results}
