"""Branch statistics, lesions and gradient paths."""

from features import residual
from features.datasets import ImageSet
from features.networks import zoo
from viz.cached.elsewhere import placed
from viz.cached.estimates import queue_of
from viz.jobs import Work


def statistics_work(model: zoo.Model, images: ImageSet) -> Work:
    """Branch statistics of every block."""
    work = Work(
        f"residual {model.key} {images.digest}",
        lambda: residual.statistics(model, images),
        queue_of(model, images, passes=2),  # as benchmarks/residual.py has it
    )
    return placed(work, "statistics", model=model, images=images)


def sweep_work(model: zoo.Model, images: ImageSet, kind: str) -> Work:
    """What all lesions of a kind do to a network."""
    lesions = residual.lesions_of(model.network, kind)
    work = Work(
        f"sweep {model.key} {images.digest} {kind}",
        lambda: residual.sweep(model, images, lesions),
        queue_of(model, images, passes=len(lesions) / 2),  # what lies before a lesion is computed once
    )
    return placed(work, "sweep", model=model, images=images, kind=kind)


def paths_work(model: zoo.Model, images: ImageSet) -> Work:
    """The gradient along paths of each length."""
    n_blocks = len(list(model.network.blocks()))
    work = Work(
        f"paths {model.key} {images.digest}",
        lambda: residual.paths(model, images),
        queue_of(model, images, passes=n_blocks**2),
    )
    return placed(work, "paths", model=model, images=images)
