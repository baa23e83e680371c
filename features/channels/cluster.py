"""Answers of channels read on a Ray cluster: workers read parts of a set, and what they counted is merged.

Parts do not depend on the workers, hold whole batches and are merged in their order. So the numbers of each image, the
extremes and the sample are those of one machine with the same processor and threads, and sums over images differ from
its in the last digits of float64 alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from features import cluster as clusters
from features.channels.reader import TOP, Tally, read
from features.channels.results import Channels
from features.cluster import Cluster, Source
from features.datasets.decoding import batch_size, need_images, need_some
from features.devices import best_device
from features.networks.canonical import own_copy
from features.networks.zoo import Model
from features.progress import Progress, Task, finish


def responses(
    model: Model, source: Source, cluster: Cluster, layers: Sequence[str] = (), k: int = TOP, seed: int = 0
) -> Task[Channels]:
    """As `channels.responses`, on all workers of a cluster, with a GPU each if it has any.

    source: must be the same from every machine, on a shared file system or as fsspec's addresses ('s3://...').
    Raises DatasetError and FeatureError as `channels.responses` does, FeatureError if Ray is not there or a worker
    fails.
    """
    images = source.open()
    need_images(images)
    whole = Tally(model, images, layers, k, seed)
    yield Progress(0, len(images), "image", "starting Ray")
    with clusters.connected(cluster) as ray:
        shared = replace(model, network=own_copy(model.network, "cpu"))  # workers may have no GPU
        on_gpu = clusters.has_gpus(ray)
        parts = clusters.ranges(len(images), batch_size(model.spec.preprocessing, "cuda" if on_gpu else "cpu"))
        work = _Work(shared, source, images.digest, parts, on_gpu, tuple(layers), k, seed)
        whole = yield from clusters.merged(work, parts, cluster, whole)
    need_some(range(whole.n_images), images, whole.rejected)
    told = whole.result(model, images)
    return replace(told, provenance=told.provenance.with_settings(cluster="ray"))


@dataclass(frozen=True, eq=False)
class _Work:
    """All that a worker needs; the images are opened again there."""

    model: Model
    source: Source
    images_digest: str
    parts: tuple[range, ...]
    on_gpu: bool
    layers: tuple[str, ...]
    k: int
    seed: int

    def begin(self) -> Callable[[int], Tally]:
        """What reads a part."""
        images = self.source.open_same(self.images_digest)
        network = self.model.network.to(best_device()) if self.on_gpu else self.model.network
        model = replace(self.model, network=network)

        def count(number: int) -> Tally:
            part = self.parts[number]
            tally = Tally(model, images, self.layers, self.k, self.seed, part)
            finish(read(tally, model, images, part))
            return tally

        return count
