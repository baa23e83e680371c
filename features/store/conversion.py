"""Features written anew in another format, block by block."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from features import files
from features.claim import Claim
from features.datasets import Rejected, open_uri
from features.errors import ImageError
from features.progress import Progress, Task
from features.store import parquet, projector
from features.store.feature_set import FeatureSet
from features.store.formats import (
    FORMATS,
    PARQUET,
    ROWS,
    TENSORBOARD,
    Picture,
    need_format,
    need_local,
    open_features,
)
from features.store.kind import claimed
from features.store.manifest import RESULTS, Manifest, StoreError, manifest_of, read_manifest
from features.store.writer import Writer

MB = 10**6


def convert(source: Path, folder: Path, format: str, replace: bool = False) -> Task[Manifest]:
    """Write a folder of features anew in another format; values stay exactly the same.

    Only a block of one stage is held in memory. The pictures in the Projector are left out if the first image is no
    longer where it was. replace: whether features of another run may be replaced.
    Raises StoreError if the source is not whole or is a sample, or if the folder cannot be written.
    """
    features, old = open_features(source), read_manifest(source)
    need_format(format, old.dtype)
    need_local(format, folder)
    if old.sampled:
        raise StoreError(f"{source} holds a sample of the rows only. Convert the features that it was made of.")
    if files.is_local(folder) and files.is_local(source) and folder.resolve() == source.resolve():
        raise StoreError(f"{folder} is what would be converted. Choose another folder for the copy.")
    manifest = dataclasses.replace(old, **RESULTS, format=format)
    with claimed(folder, manifest, replace) as claim:
        if format == PARQUET:
            return (yield from _to_parts(features, old, Writer(claim, manifest)))
        if claim.finished is not None:
            return manifest_of(claim.finished)
        picture = _opener(features) if format == TENSORBOARD else None
        return (yield from _write(features, old, claim, manifest, picture))


def write_as(writer: Writer, picture: Picture | None = None) -> Task[Manifest]:
    """Make the format that a writer is for of its finished parts."""
    source = writer.parts.folder
    features, old = open_features(source), read_manifest(source)
    return (yield from _write(features, old, writer.claim, writer.manifest, picture))


def _opener(features: FeatureSet) -> Picture | None:
    """Opens the images where they were, or None if they are not there."""
    uris = dict(zip(features.rows.tolist(), features.uris, strict=True))
    try:
        open_uri(features.uris[0])
    except (ImageError, IndexError):
        return None
    return lambda row: open_uri(uris[row])


def _write(
    features: FeatureSet, old: Manifest, claim: Claim, manifest: Manifest, picture: Picture | None
) -> Task[Manifest]:
    """Write rows in another format than Parquet, and show them. old: what made them."""
    rows = np.arange(len(features))
    if manifest.format == TENSORBOARD:
        rows = projector.sample(features, projector.MAX_ROWS)
    claim.need_room(manifest.bytes_in_all * len(rows) // manifest.n_images)
    write = FORMATS[manifest.format].write
    work: Iterator[int] = iter(())
    if len(features) and write is not None:  # else only what was rejected is written
        work = write(features, manifest, claim.new, rows, picture)
    total = max(1, len(features) * old.bytes_per_image // MB)
    done = 0
    with claim.errors():
        for size in work:
            done += size
            yield Progress(min(done // MB, total), total, "MB", "writing")
        _write_rows(features, old, claim.new / ROWS, rows)
        parquet.write_rejected(features.rejected, features.aside, claim.new)
    result = dataclasses.replace(
        old,
        format=manifest.format,
        n_rows=len(rows),
        sampled=len(rows) < len(features),
        part_images=manifest.part_images,
    )
    claim.commit(result.content())
    return result


def _write_rows(features: FeatureSet, manifest: Manifest, path: Path, rows: np.ndarray) -> None:
    columns = {"row": pa.array(features.rows, pa.int64()), **parquet.described(features, manifest)}
    table = pa.table(columns)
    parquet.write_table(table if len(rows) == len(features) else table.take(pa.array(rows)), path)


def _to_parts(features: FeatureSet, old: Manifest, writer: Writer) -> Task[Manifest]:
    if writer.finished is not None:
        return writer.finished
    manifest = writer.manifest
    lost = np.setdiff1d(np.arange(manifest.n_images), features.rows)  # (R,) positions of what was rejected
    for number in writer.missing:
        images = manifest.parts[number]
        start, stop = np.searchsorted(features.rows, [images.start, images.stop])
        first, last = np.searchsorted(lost, [images.start, images.stop])
        stages = {name: features.read(name, start, stop) for name in manifest.shapes}
        rejected = features.rejected[first:last]
        writer.parts.write(number, _slice(features, stages, images.start, slice(start, stop), rejected))
        yield Progress(images.stop, manifest.n_images, "image", "writing")
    return writer.finish(old.images_per_second, old.made_with, features.aside)


def _slice(
    features: FeatureSet, stages: dict[str, np.ndarray], first_image: int, rows: slice, rejected: tuple[Rejected, ...]
) -> FeatureSet:
    return dataclasses.replace(
        features,
        stages=stages,
        rows=features.rows[rows] - first_image,
        ids=features.ids[rows],
        uris=features.uris[rows],
        labels=None if features.labels is None else features.labels[rows],
        label_sets=None if features.label_sets is None else features.label_sets[rows],
        columns={name: values[rows] for name, values in features.columns.items()},
        predictions=None if features.predictions is None else features.predictions.take(rows),
        rejected=rejected,
    )
