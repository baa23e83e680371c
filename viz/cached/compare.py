"""Networks side by side on the same images."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from features import compare
from features.compare import EXTRAS, Comparison, ExtraResult, Gallery, LookSettings
from features.compare.stitching.planning import BOUNDED
from features.datasets import ImageSet
from features.datasets.image_set import CORRECTED
from features.networks.zoo import Model
from features.progress import Task, finish
from viz.cached import server
from viz.cached.elsewhere import is_upload
from viz.cached.estimates import seconds
from viz.jobs import LONG, Work, kind_of
from viz.reports.compare import again
from viz.reports.compare import report as report_task

# Passes of each network through so many of the images, at most, that an extra takes; a gradient counts as two.
PASSES = {"measures": 0.02, "stitching": 0.3, "branches": 8.0, "maps": 0.0, "saliency": 3.0}
MOST_IMAGES = {"branches": compare.DEPTH_IMAGES, "saliency": compare.LOOK_IMAGES}


def comparison_work(models: Sequence[Model], images: ImageSet) -> Work:
    """All that is counted of some networks on labelled images. Several networks are not handed to another process: what
    each puts out is kept in the cache part by part, so that a run that was stopped is gone on with."""
    key = f"comparison {' '.join(model.key for model in models)} {images.digest}"
    work = Work(key, lambda: compare.compare(models, images), kind_of(_seconds(models, images, 1)), resumes=True)
    return _placed(work)


def extra_work(name: str, told: Comparison, models: Sequence[Model], numbers: tuple[int, ...]) -> Work:
    """An extra of `compare.EXTRAS` of one of a comparison's networks, or of two. models: all of the comparison's."""
    images = told.common.images
    few = images if len(images) <= MOST_IMAGES.get(name, len(images)) else range(MOST_IMAGES[name])
    keys = " ".join(models[number].key for number in numbers)
    key = f"comparison {name} {keys} {images.digest} {told.digest} {told.seed} {' '.join(told.names_of(numbers))}"
    passes = PASSES[name]
    if name == "stitching" and len(images) < BOUNDED:  # of few images a larger share is stitched
        passes = min(passes * BOUNDED / max(1, len(images)), 8 * passes)
    kind = kind_of(_seconds([models[number] for number in numbers], few, passes))
    return _placed(Work(key, lambda: EXTRAS[name].run(told, models, numbers), kind))


def extras_made(told: Comparison, models: Sequence[Model]) -> list[ExtraResult]:
    """The extras of a comparison that somebody has asked for and that are done."""
    made = []
    for extra in EXTRAS.values():
        for numbers in compare.numbers_of(extra, len(models), all_pairs=True):
            work = extra_work(extra.name, told, models, numbers)
            if server.jobs().has_result(work) and (run := server.ask(work).run) is not None and run.error is None:
                made.append(ExtraResult(extra.name, told.names_of(numbers), run.result))
    return made


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


def report(told: Comparison, models: Sequence[Model], images: ImageSet, extras: Sequence[ExtraResult] = ()) -> bytes:
    """All that the page shows as one file. It is made when somebody wants it. extras: those that were asked for."""
    line = command(models, images, extras, told.contenders[0].name)
    return finish(report_task(told, images, line, extras))


def command(models: Sequence[Model], images: ImageSet, extras: Sequence[ExtraResult] = (), first: str = "") -> str:
    """The command that makes the same comparison with such extras, of all pairs where one is without the first network.
    What it cannot name stands behind it: a selection, uploads. first: what the first network is called in the extras.
    """
    more: dict[str, str | int | None] = {
        "with": ",".join(dict.fromkeys(each.extra for each in extras)) or "none",
        "all_pairs": any(len(each.networks) == 2 and each.networks[0] != first for each in extras),
    }
    networks = [_network(model) for model in models]
    if images.origin is None or is_upload(images):
        return again(images.name, networks, f"on {len(images):,} images that were uploaded or lie in memory", **more)
    steps, columns = images.origin.limits, images.origin.columns
    limits = [step for step in steps if not str(step).startswith(CORRECTED)]
    limit = limits[0] if len(limits) == 1 and isinstance(limits[0], int) else None
    remark = f"on {len(images):,} images selected of these" if limits and limit is None else ""
    return again(
        images.origin.source,
        networks,
        remark,
        limit=limit,
        path_column=columns.path,
        label_column=columns.label,
        corrections="mine" if len(limits) < len(steps) else None,
        **more,
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
