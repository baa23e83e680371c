"""Networks side by side on the same images."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from features import compare
from features.compare import Comparison
from features.datasets import ImageSet
from features.networks.zoo import Model
from features.progress import finish
from viz.cached.elsewhere import is_upload
from viz.cached.estimates import seconds
from viz.jobs import LONG, Work, kind_of
from viz.reports.compare import again
from viz.reports.compare import report as report_task


def comparison_work(models: Sequence[Model], images: ImageSet) -> Work:
    """All that is counted of some networks on labelled images. Several networks are not handed to another process."""
    kind = kind_of(sum(seconds(model, images, 1) for model in models))
    key = f"comparison {' '.join(model.key for model in models)} {images.digest}"
    work = Work(key, lambda: compare.compare(models, images), kind)
    return replace(work, lasting=True) if kind == LONG else work


def report(told: Comparison, models: Sequence[Model], images: ImageSet) -> bytes:
    """All that the page shows as one file. It is made when somebody wants it."""
    return finish(report_task(told, images, command(models, images)))


def command(models: Sequence[Model], images: ImageSet) -> str:
    """The command that makes the same comparison. What it cannot name stands behind it: a selection, uploads."""
    networks = [_network(model) for model in models]
    if images.origin is None or is_upload(images):
        return again(images.name, networks, f"on {len(images):,} images that were uploaded or lie in memory")
    limits, columns = images.origin.limits, images.origin.columns
    limit = limits[0] if len(limits) == 1 and isinstance(limits[0], int) else None
    remark = f"on {len(images):,} images selected of these" if limits and limit is None else ""
    return again(
        images.origin.source, networks, remark, limit=limit, path_column=columns.path, label_column=columns.label
    )


def _network(model: Model) -> str:
    """As the command line takes it; an uploaded file by its name alone, since where it lies goes with the server."""
    if model.name is None:
        return model.spec.name
    weights, classes = (
        Path(path.name) if path is not None and is_upload(path) else path
        for path in (model.name.weights, model.name.classes)
    )
    return str(replace(model.name, weights=weights, classes=classes))
