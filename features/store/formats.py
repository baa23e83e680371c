"""Every format by name: what writes it and what reads it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from features import files
from features.datasets import Rejected, open_uri
from features.errors import ImageError
from features.progress import Progress, Task
from features.store import arrays, parquet, projector
from features.store.feature_set import FeatureSet, Stages
from features.store.manifest import RESULTS, Manifest, StoreError, read_manifest
from features.store.taking import Claim

PARQUET, TENSORBOARD = "parquet", "tensorboard"
ROWS = "rows.parquet"
ARRAYS: dict[str, tuple[Callable[[FeatureSet, Manifest, Path], Iterator[int]], type[Stages]]] = {
    "npy": (arrays.write_npy, arrays.NpyStages),
    "npz": (arrays.write_npz, arrays.NpzStages),
    "safetensors": (arrays.write_safetensors, arrays.SafetensorsStages),
}
READERS: dict[str, type[Stages]] = {TENSORBOARD: projector.TsvStages} | {name: pair[1] for name, pair in ARRAYS.items()}
FORMATS = (PARQUET, *ARRAYS, TENSORBOARD)
MB = 10**6

Picture = Callable[[int], Image.Image]  # opens the image at a position of the image set; raises ImageError


def need_format(name: str, dtype: str) -> None:
    """Raises StoreError if there is no such format, or values of such a type cannot be written in it."""
    if name not in FORMATS:
        raise StoreError(f"The format is {name!r}. Wanted one of {', '.join(FORMATS)}.")
    if name == TENSORBOARD and dtype != "float32":
        raise StoreError("The Projector shows points, and whole maps are none. Pool them, or choose another format.")


def need_local(format: str, folder: Path) -> None:
    """Raises StoreError for an address with a format that is written block by block into files."""
    if format != PARQUET and not files.is_local(folder):
        raise StoreError(f"{folder} takes only Parquet. Write {format} to a folder of this machine, and copy it.")


def opened(folder: Path) -> FeatureSet:
    """The set in a folder. Raises StoreError if there is none, or not a whole one."""
    manifest = read_manifest(folder)
    if manifest.format not in (PARQUET, *READERS):
        raise StoreError(f"{folder} is written as {manifest.format!r}, which this program does not know. Update it.")
    try:
        if manifest.format == PARQUET:
            return parquet.opened(folder, manifest)
        table = parquet.read_table(folder / ROWS)
        rejected = parquet.read_rejected(folder)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{folder} cannot be read: {error}. Run the command that made it again.") from error
    return parquet.as_set(table, table["row"].to_numpy(), READERS[manifest.format](folder, manifest), rejected)


def convert(source: Path, folder: Path, format: str) -> Task[Manifest]:
    """Write a folder of features anew in another format; values stay exactly the same.

    Only a block of one stage is held in memory. The pictures in the Projector are left out if the first image is no
    longer where it was.
    Raises StoreError if the source is not whole or is a sample, or if the folder cannot be written.
    """
    found, old = opened(source), read_manifest(source)
    need_format(format, old.dtype)
    need_local(format, folder)
    if old.sampled:
        raise StoreError(f"{source} holds a sample of the rows only. Convert the features that it was made of.")
    begun = replace(old, **RESULTS, format=format)
    if format == PARQUET:
        return (yield from _to_parts(found, begun, old, folder))
    with Claim(folder, begun) as claim:
        return (yield from _write(source, found, old, claim, _opener(found) if format == TENSORBOARD else None))


def _opener(found: FeatureSet) -> Picture | None:
    """Opens the images where they were, or None if they are not there."""
    place = dict(zip(found.rows.tolist(), found.uris, strict=True))
    try:
        open_uri(found.uris[0])
    except (ImageError, IndexError):
        return None
    return lambda row: open_uri(place[row])


def write_as(source: Path, claim: Claim, picture: Picture | None = None) -> Task[Manifest]:
    """Write a folder of features anew into a folder that was claimed, in the claim's format."""
    return (yield from _write(source, opened(source), read_manifest(source), claim, picture))


def _write(source: Path, found: FeatureSet, old: Manifest, claim: Claim, picture: Picture | None) -> Task[Manifest]:
    if claim.finished:
        return claim.finished
    manifest, folder = claim.manifest, claim.folder
    rows = np.arange(len(found))
    work: Iterator[int] = iter(())
    if not len(found):
        pass  # only what was rejected is written
    elif manifest.format == TENSORBOARD:
        rows = projector.sample(found, projector.MAX_ROWS)
        work = projector.write(found, manifest, folder, rows, picture)
    else:
        work = ARRAYS[manifest.format][0](found, manifest, folder)
    claim.need_room(manifest.bytes_in_all * len(rows) // manifest.n_images)
    total = max(1, len(found) * old.bytes_per_image // MB)
    done = 0
    with claim.making():
        for size in work:
            done += size
            yield Progress(min(done // MB, total), total, "MB", "writing")
        _write_rows(found, old, folder / ROWS, rows)
        parquet.write_rejected(found.rejected, folder)
        result = replace(
            old,
            format=manifest.format,
            n_rows=len(rows),
            sampled=len(rows) < len(found),
            part_images=manifest.part_images,
        )
        result.write(folder)
    return result


def _write_rows(found: FeatureSet, manifest: Manifest, path: Path, rows: np.ndarray) -> None:
    columns = {"row": pa.array(found.rows, pa.int64()), **parquet.described(found, manifest)}
    table = pa.table(columns)
    parquet.write_table(table if len(rows) == len(found) else table.take(pa.array(rows)), path)


def _to_parts(found: FeatureSet, manifest: Manifest, old: Manifest, folder: Path) -> Task[Manifest]:
    lost = np.setdiff1d(np.arange(manifest.n_images), found.rows)  # (R,) positions of what was rejected
    with closing(parquet.Writer(folder, manifest)) as writer:
        for number in writer.missing:
            images = writer.manifest.parts[number]
            start, stop = np.searchsorted(found.rows, [images.start, images.stop])
            first, last = np.searchsorted(lost, [images.start, images.stop])
            stages = {name: found.read(name, start, stop) for name in manifest.shapes}
            writer.write(number, _slice(found, stages, images.start, slice(start, stop), found.rejected[first:last]))
            yield Progress(images.stop, manifest.n_images, "image", "writing")
        return writer.finish(old.images_per_second, old.made_with)


def _slice(
    found: FeatureSet, stages: dict[str, np.ndarray], first_image: int, rows: slice, rejected: tuple[Rejected, ...]
) -> FeatureSet:
    return replace(
        found,
        stages=stages,
        rows=found.rows[rows] - first_image,
        ids=found.ids[rows],
        uris=found.uris[rows],
        labels=None if found.labels is None else found.labels[rows],
        predictions=None if found.predictions is None else found.predictions.take(rows),
        rejected=rejected,
    )
