"""CKA of features at hand, of all images, in minibatches of random ones."""

import numpy as np

from features.progress import Progress, Task
from features.similarity.layers import Layers, need_images, need_same_set
from features.similarity.streaming import Batching, Stream, with_batch
from features.similarity.table import Similarity


def streamed(left: Layers, right: Layers, batching: Batching | None = None) -> Task[Similarity]:
    """Unbiased CKA of every layer of one network with every layer of another, or of one with itself.

    Each layer is asked for once and only rows of it are read, so that what lies on disk as a memory map stays there.
    Batches are smaller than asked for where few images would make fewer than 8 of them, down to 16 images.
    Raises FeatureError for other images, fewer than 4, or features that are no finite rows.
    """
    need_same_set(left, right)
    n_images = len(left.ids)
    need_images(n_images)
    batching = with_batch(batching or Batching(), n_images)
    itself = left is right
    stream = Stream(left.names, None if itself else right.names, batching)
    left = Layers(dict(left.features), left.ids, left.provenance)
    right = left if itself else Layers(dict(right.features), right.ids, right.provenance)
    order = np.random.default_rng(batching.seed).permutation(n_images)
    for start in range(0, n_images, batching.batch):
        yield Progress(start, n_images, "image", "CKA")
        rows = order[start : start + batching.batch]
        others = None if itself else {name: right.rows(name, rows) for name in right.names}
        stream.add({name: left.rows(name, rows) for name in left.names}, others)
    yield Progress(n_images, n_images, "image", "CKA")
    return stream.result(left.provenance, right.provenance)
