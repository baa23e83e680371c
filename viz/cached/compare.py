"""Networks side by side on the same images."""

from collections.abc import Sequence
from dataclasses import replace

from features import compare
from features.compare import EXTRAS, Comparison, Gallery, LookSettings
from features.datasets import ImageSet
from features.networks.zoo import Model
from features.progress import Task
from viz.cached.estimates import seconds
from viz.jobs import LONG, Work, kind_of

# Passes of each network through so many of the images, at most, that an extra takes; a gradient counts as two.
PASSES = {"measures": 0.02, "stitching": 0.3, "branches": 8.0, "maps": 0.0, "saliency": 3.0}
MOST_IMAGES = {"branches": 200, "saliency": 200}


def comparison_work(models: Sequence[Model], images: ImageSet) -> Work:
    """All that is counted of some networks on labelled images. Several networks are not handed to another process: what
    each puts out is kept in the cache part by part, so that a run that was stopped is gone on with."""
    key = f"comparison {' '.join(model.key for model in models)} {images.digest}"
    return _placed(Work(key, lambda: compare.compare(models, images), kind_of(_seconds(models, images, 1))))


def extra_work(name: str, told: Comparison, models: Sequence[Model], numbers: tuple[int, ...]) -> Work:
    """An extra of `compare.EXTRAS` of one of a comparison's networks, or of two. models: all of the comparison's."""
    images = told.common.images
    few = images if len(images) <= MOST_IMAGES.get(name, len(images)) else range(MOST_IMAGES[name])
    keys = " ".join(models[number].key for number in numbers)
    key = f"comparison {name} {keys} {images.digest} {told.seed} {' '.join(told.names_of(numbers))}"
    kind = kind_of(_seconds([models[number] for number in numbers], few, PASSES[name]))
    return _placed(Work(key, lambda: EXTRAS[name].run(told, models, numbers), kind))


def gallery_work(first: Model, second: Model, images: ImageSet, rows: Sequence[int], settings: LookSettings) -> Work:
    """Pictures of a few rows of a set with both networks' saliency."""

    def run() -> Task[Gallery]:
        return compare.gallery(first, second, images, rows, settings)

    key = f"gallery {first.key} {second.key} {images.digest} {list(rows)} {settings}"
    return Work(key, run, kind_of(_seconds([first, second], rows, 3)))


def _seconds(models: Sequence[Model], images: Sequence[int] | ImageSet, passes: float) -> float:
    return sum(seconds(model, images, passes) for model in models)


def _placed(work: Work) -> Work:
    return replace(work, lasting=True) if work.kind == LONG else work
