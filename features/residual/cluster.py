"""Branch statistics measured on a Ray cluster: workers measure parts of a set, and what they found is merged.

Parts do not depend on the workers, hold whole batches and are merged in their order. So the numbers of each image are
those of one machine with the same processor and threads, and sums over images differ from its in the last digits of
float64 alone. Other processors round float32 differently, by about 1e-6 of a value.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from features import cluster as clusters
from features.cluster import Cluster, Source
from features.datasets.decoding import need_images, need_some
from features.devices import best_device
from features.networks.canonical import own_copy
from features.networks.zoo import Model
from features.progress import Progress, Task, finish
from features.residual.statistics import BlockStatistics
from features.residual.tally import Reader, Tally, images_at_once


def statistics(model: Model, source: Source, cluster: Cluster) -> Task[BlockStatistics]:
    """As `residual.statistics`, on all workers of a cluster, with a GPU each if it has any.

    source: must be the same from every machine, on a shared file system or as fsspec's addresses ('s3://...').
    Raises DatasetError and FeatureError as `residual.statistics` does, FeatureError if Ray is not there or a worker
    fails.
    """
    images = source.open()
    need_images(images)
    yield Progress(0, len(images), "image", "starting Ray")
    with clusters.connected(cluster) as ray:
        shared = replace(model, network=own_copy(model.network, "cpu"))  # workers may have no GPU
        on_gpu = clusters.has_gpus(ray)
        parts = clusters.ranges(len(images), images_at_once(model, "cuda" if on_gpu else "cpu"))
        work = _Work(shared, source, images.digest, parts, on_gpu)
        whole: Tally = yield from clusters.merged(work, parts, cluster)
    need_some(whole.numbers.ids, images, whole.rejected)
    outcome = whole.result()
    return replace(outcome, provenance=outcome.provenance.with_settings(cluster="ray"))


@dataclass(frozen=True, eq=False)
class _Work:
    """All that a worker needs; the images are opened again there."""

    model: Model
    source: Source
    images_digest: str
    parts: tuple[range, ...]
    on_gpu: bool

    def begin(self) -> Callable[[int], Tally]:
        """What measures a part. Its sums come back on the CPU, since who merges them may have no GPU."""
        images = self.source.open_same(self.images_digest)
        network = self.model.network.to(best_device()) if self.on_gpu else self.model.network
        reader = Reader(replace(self.model, network=network), images)

        def measure(number: int) -> Tally:
            tally = finish(reader.measure(self.parts[number]))
            cpu = torch.device("cpu")
            return tally if tally.device == cpu else Tally(reader.model, images, cpu).merge(tally)

        return measure
