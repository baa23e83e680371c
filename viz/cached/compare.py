"""Networks side by side on the same images."""

from collections.abc import Sequence
from dataclasses import replace

from features import compare
from features.datasets import ImageSet
from features.networks.zoo import Model
from viz.cached.estimates import seconds
from viz.jobs import LONG, Work, kind_of


def comparison_work(models: Sequence[Model], images: ImageSet) -> Work:
    """All that is counted of some networks on labelled images. Several networks are not handed to another process."""
    kind = kind_of(sum(seconds(model, images, 1) for model in models))
    key = f"comparison {' '.join(model.key for model in models)} {images.digest}"
    work = Work(key, lambda: compare.compare(models, images), kind)
    return replace(work, lasting=True) if kind == LONG else work
