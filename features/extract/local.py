"""Runs a network over an image set: features of every stage, in memory or into a folder."""

import dataclasses
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from features import engine, store
from features.datasets import ImageSet, labels
from features.datasets.decoding import Batch, batch_size, batches, need_images, need_some, run_through
from features.datasets.image_set import JOIN
from features.devices import device_of
from features.engine import Plan, Runner
from features.errors import DatasetError, FeatureError
from features.extract.choice import decide
from features.networks.card import Outputs
from features.networks.measured import anatomy_of
from features.networks.zoo import Model
from features.predictions import Predictions
from features.progress import Progress, Task, retold
from features.results import not_finite, provenance
from features.store import FeatureSet, Manifest, Writer


def features(model: Model, images: ImageSet, pool: str = "mean") -> Task[FeatureSet]:
    """What the stem, every stage and the head's pool put out, pooled, and the predictions, in one pass in fp32.

    pool: of `engine.POOLINGS`. Raises DatasetError if no image can be read, FeatureError if the network puts out NaN or
    infinite values.
    """
    need_images(images)
    plan = _plan(model, pool)
    runner = engine.TorchEngine(model.network, model.spec.preprocessing, plan)
    size = batch_size(model.spec.preprocessing, plan.device)
    with closing(batches(images, model.spec.preprocessing, size, device=plan.device)) as stream:
        features = yield from _read(model, images, range(len(images)), stream, runner, plan)
    need_some(features, images, features.rejected)
    return features


def of_picture(model: Model, picture: Image.Image, pool: str = "mean") -> dict[str, np.ndarray]:
    """The features of one picture, as of `features`: stage -> (1, D) float32. Raises FeatureError as that does."""
    plan = _plan(model, pool)
    runner = engine.TorchEngine(model.network, model.spec.preprocessing, plan)
    made = runner(model.spec.preprocessing.framed(picture)[None])
    _need_finite(made, model)
    return {name: made[name] for name in plan.stages}


def _plan(model: Model, pool: str) -> Plan:
    """What is read in memory: all but the logits, which are predictions."""
    device = str(device_of(model.network))
    stages = engine.without_logits(engine.stages_of(model.network))
    return engine.choose(model.network, stages, pool, "fp32", device, engine.TORCH)


def to_folder(
    model: Model,
    images: ImageSet,
    plan: Plan,
    folder: Path,
    size: int | None = None,
    format: str = store.PARQUET,
    replace: bool = False,
) -> Task[Manifest]:
    """Read an image set into a folder of features, part by part, going on where an earlier run ended.

    plan: one that is open is decided first, as the folder's run was begun or by a short timing (`extract.decide`).
    size: images per batch; None is a default for the images' size. format: one of store.FORMATS; all but Parquet are
    made of Parquet parts, which are kept out of sight until all is read. replace: whether features of another run may
    be replaced; they stay until the new ones are whole. Only the present part is held in memory.
    Raises StoreError as `Claim` does, DatasetError if no image can be read, FeatureError as `features` does.
    """
    need_images(images)
    size = size or batch_size(model.spec.preprocessing, plan.device)
    if plan.is_open:
        yield Progress(0, len(images), "image", "timing what is fastest here")
        plan = decide(model, plan, folder, size, replace)
    planned = planned_manifest(model, images, plan, size, format)
    store.need_local(format, folder)
    with store.claimed(folder, planned, replace) as claim:
        writer = Writer(claim, planned)
        manifest = writer.finished or writer.collected() or (yield from _to_parts(model, images, plan, writer))
        if format != store.PARQUET and writer.finished is None:
            manifest = yield from store.write_as(writer, images.open)
    need_rows(manifest, folder)
    return manifest


def _to_parts(model: Model, images: ImageSet, plan: Plan, writer: Writer) -> Task[Manifest]:
    parts, missing = writer.manifest.parts, writer.missing
    reader = PartReader(model, images, plan, writer.manifest)
    before = done = len(images) - sum(len(parts[number]) for number in missing)
    began = time.monotonic()
    # A part is written while the next one is read: to pack it takes as long as a GPU needs for half of it.
    with closing(reader.tasks(missing)) as tasks, ThreadPoolExecutor(1, "part") as pool:
        writing: Future[None] | None = None
        for number, task in tasks:
            part = yield from retold(task, partial(_of_all, done=done, total=len(images), before=before))
            if writing is not None:
                writing.result()
            writing = pool.submit(writer.parts.write, number, part)
            done += len(parts[number])
            del part  # not to be held while the next but one is read
        if writing is not None:
            writing.result()
    rate = (done - before) / max(time.monotonic() - began, 1e-9) if missing else None
    return writer.finish(rate, reader.made_with, images.left_aside())


def _of_all(progress: Progress, done: int, total: int, before: int) -> Progress:
    """A part's report as all parts' one, `done` units of which are finished, `before` of them by an earlier run."""
    return dataclasses.replace(progress, done=done + progress.done, total=total, before=before)


def need_rows(manifest: Manifest, folder: Path) -> None:
    """Raises DatasetError if no image could be read."""
    if not manifest.n_rows:
        raise DatasetError(f"None of the {manifest.n_images} images could be read: see {folder / store.REJECTED}.")


class PartReader:
    """Reads the parts of a plan. made_with: what runs the network, and where."""

    def __init__(self, model: Model, images: ImageSet, plan: Plan, planned: Manifest) -> None:
        self.model, self.images, self.plan, self.planned = model, images, plan, planned
        self.runner = engine.start(model.network, model.spec.preprocessing, plan, model.key)
        self.made_with = {"runs_on": self.runner.name, "device": plan.device}

    def tasks(self, numbers: Sequence[int]) -> Generator[tuple[int, Task[FeatureSet]], None, None]:
        """The tasks that read some parts, each to be finished before the next is asked for."""
        parts, preprocessing = [self.planned.parts[number] for number in numbers], self.model.spec.preprocessing
        size = self.planned.settings["batch_size"]
        with closing(batches(self.images, preprocessing, size, parts, self.plan.device)) as stream:
            for number, part in zip(numbers, parts, strict=True):
                yield number, _read(self.model, self.images, part, stream, self.runner, self.plan)


def planned_manifest(model: Model, images: ImageSet, plan: Plan, size: int, format: str = store.PARQUET) -> Manifest:
    """What `to_folder` would write: shapes, numbers and sizes, before it starts. Raises StoreError if it cannot.

    Of a plan that is still open precision and engine are 'auto'; nothing is written with such a manifest.
    """
    shapes = shapes_of(model, plan)
    dtype = "float16" if plan.keeps_maps else "float32"
    store.need_format(format, dtype)
    made = provenance(model, images, plan.precision, torch.device(plan.device).type).with_settings(
        stages=list(plan.stages),
        pool=plan.pool,
        batch_size=size,  # convolutions of another batch differ in the last digits
    )
    return Manifest(
        settings=dataclasses.replace(made, engine=plan.engine, versions=_versions(plan)).as_dict(),
        shapes=shapes,
        dtype=dtype,
        class_names=_names(images.class_names, images.label_sets is not None),
        prediction_names=_names(model.spec.classes, model.spec.outputs is Outputs.MULTILABEL),
        labelled=images.labels is not None,
        many_labels=images.label_sets is not None,
        many_predicted=model.spec.outputs is Outputs.MULTILABEL,
        columns=store.columns_of(images.columns, [*shapes]),
        n_images=len(images),
        part_images=store.part_images(shapes, dtype),
        format=format,
    )


def _names(names: tuple[str, ...], many: bool) -> tuple[str, ...]:
    """The names of labels, all different; where several may stand in one text, without the sign that parts them."""
    return store.unique_names(tuple(name.replace(JOIN, ",") for name in names) if many else names)


def _versions(plan: Plan) -> dict[str, str]:
    """Of the libraries that values depend on in their last digits, beside PyTorch's, which the model tells."""
    names = ["pillow", *([engine.OPENVINO] if plan.engine == engine.OPENVINO else [])]
    return {name: metadata.version(name) for name in names}


def shapes_of(model: Model, plan: Plan) -> dict[str, tuple[int, ...]]:
    """The shape of one image's values at every stage of a plan: (D,), or (C, H, W) for unpooled maps."""
    built = anatomy_of(model.network, model.spec.architecture, model.spec.preprocessing.crop)
    outputs = {name: part.outputs for part in built.parts for name in (part.name, part.stage)}  # a stage's last block's
    outputs |= {engine.LOGITS: outputs["head"], engine.POOLED: (model.spec.architecture.pooled_features,)}
    return {name: outputs[name] if plan.keeps_maps else outputs[name][:1] for name in plan.stages}


def _read(
    model: Model, images: ImageSet, part: range, stream: Iterator[Batch], runner: Runner, plan: Plan
) -> Task[FeatureSet]:
    """The features of a part of a set that fits into memory, whose batches come next in a stream.

    Its rows count from the part's first image. It has none if no image can be read.
    """
    dtype = np.float16 if plan.keeps_maps else np.float32
    stages = {name: np.empty((len(part), *shape), dtype) for name, shape in shapes_of(model, plan).items()}
    classes = model.spec.architecture.classes
    logits = None if classes is None else np.empty((len(part), classes), np.float32)
    done = 0

    begun: list[Callable[[], dict[str, np.ndarray]]] = []

    def work(batch: Batch) -> tuple[()]:
        begun.append(runner.begin(batch.pixels))
        if len(begun) > 1:  # a GPU has its next batch before the last one is put away
            keep(begun.pop(0)())
        return ()

    def keep(batch: dict[str, np.ndarray]) -> None:
        nonlocal done
        _need_finite(batch, model)
        here = slice(done, done + len(next(iter(batch.values()))))
        for name, values in stages.items():
            with np.errstate(over="ignore"):  # it is told below
                values[here] = batch[name]
        if dtype == np.float16:  # which holds less than what the engine puts out
            _need_finite({name: values[here] for name, values in stages.items()}, model)
        if logits is not None:
            logits[here] = batch[engine.LOGITS]
        done = here.stop

    rows, rejected = yield from run_through(stream, len(part), work)
    for read in begun:
        keep(read())
    predictions = None
    if logits is not None:
        names = labels.class_names(model.spec, images)
        predictions = Predictions.of(logits[:done], names, model.spec.outputs)
    return FeatureSet(
        stages={name: values[:done] for name, values in stages.items()},
        rows=rows - part.start,
        ids=tuple(images.ids[row] for row in rows),
        uris=tuple(images.uri(row) for row in rows),
        labels=None if images.labels is None else images.labels[rows],
        label_sets=None if images.label_sets is None else images.label_sets[rows],
        columns={name: values[rows] for name, values in images.columns.items()},
        class_names=images.class_names,
        predictions=predictions,
        rejected=rejected,
        provenance=provenance(model, images).with_settings(pool=plan.pool),
    )


def _need_finite(batch: dict[str, np.ndarray], model: Model) -> None:
    for name, values in batch.items():
        if values.dtype == np.float16 and np.isinf(values).any() and not np.isnan(values).any():
            raise FeatureError(
                f"{model.spec.name} puts out values at {name} that float16 cannot hold (above 65,504), in which maps "
                "are written. Leave this stage out, or pool it."
            )
        if not np.isfinite(values).all():  # torch would wake its threads, which spin on the decoders' cores
            raise not_finite(model)
