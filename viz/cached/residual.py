"""Branch statistics, lesions and gradient paths."""

from features import residual
from features.datasets import ImageSet
from features.networks import zoo
from viz.cached.server import analysis_queue
from viz.jobs import Job


def residual_job(model: zoo.Model, images: ImageSet) -> Job:
    """Branch statistics of every block."""
    return analysis_queue().get(f"residual {model.key} {images.digest}", lambda: residual.statistics(model, images))


def sweep_job(model: zoo.Model, images: ImageSet, kind: str) -> Job:
    """What all lesions of a kind do to a network."""
    return analysis_queue().get(
        f"sweep {model.key} {images.digest} {kind}",
        lambda: residual.sweep(model, images, residual.lesions_of(model.network, kind)),
    )


def paths_job(model: zoo.Model, images: ImageSet) -> Job:
    """The gradient along paths of each length."""
    return analysis_queue().get(f"paths {model.key} {images.digest}", lambda: residual.paths(model, images))
