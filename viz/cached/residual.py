"""Branch statistics, lesions and gradient paths."""

from features import residual
from features.datasets import ImageSet
from features.networks import zoo
from viz.cached.estimates import queue_of
from viz.cached.server import ask
from viz.jobs import Job, Work


def residual_job(model: zoo.Model, images: ImageSet) -> Job:
    """Branch statistics of every block."""
    return ask(
        Work(
            f"residual {model.key} {images.digest}",
            lambda: residual.statistics(model, images),
            queue_of(model, images, passes=2),  # as benchmarks/residual.py has it
        )
    )


def sweep_job(model: zoo.Model, images: ImageSet, kind: str) -> Job:
    """What all lesions of a kind do to a network."""
    lesions = residual.lesions_of(model.network, kind)
    return ask(
        Work(
            f"sweep {model.key} {images.digest} {kind}",
            lambda: residual.sweep(model, images, lesions),
            queue_of(model, images, passes=len(lesions) / 2),  # what lies before a lesion is computed once
        )
    )


def paths_job(model: zoo.Model, images: ImageSet) -> Job:
    """The gradient along paths of each length."""
    n_blocks = len(list(model.network.blocks()))
    return ask(
        Work(
            f"paths {model.key} {images.digest}",
            lambda: residual.paths(model, images),
            queue_of(model, images, passes=n_blocks**2),
        )
    )
