"""The rows as Parquet: written and read part by part."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features import files
from features.datasets import Rejected
from features.predictions import Predictions
from features.results import Provenance
from features.store.feature_set import FeatureSet, Stages
from features.store.manifest import REJECTED, Manifest, StoreError
from features.store.taking import Claim, clear_errors

FIXED = ("id", "uri", "label", "pred", "confidence")
OURS = b"resnet_explorer"  # the key of what a part says of itself


class Writer:
    """Writes the parts of one feature set, in any order; parts that are there already stay.

    missing: the numbers of the parts that were not there when this run began.
    finished: the manifest of an earlier run that came to its end, or None.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Begin a folder, or go on with one.

        Raises StoreError as Claim does, and if the disk has too little room.
        """
        self.folder, self.manifest = folder, manifest
        self._claim = Claim(folder, manifest)
        try:
            with clear_errors(folder):
                self.missing = [n for n in range(len(manifest.parts)) if not _is_whole(self._path(n))]
                self.finished = None if self.missing else self._claim.finished
                left = sum(len(manifest.parts[number]) for number in self.missing)
                self._claim.need_room(int(manifest.bytes_in_all * left / max(1, manifest.n_images)))
                if self._claim.old is None:
                    manifest.write(folder)
        except BaseException:
            self.close()
            raise

    def write(self, number: int, part: FeatureSet) -> None:
        """Write one part: the readable images of `manifest.parts[number]`, with rows that count from the first."""
        write_part(self.folder, self.manifest, number, part)

    def finish(self, images_per_second: float | None, made_with: dict[str, Any]) -> Manifest:
        """Collect what was rejected and close the manifest. Every part must be there."""
        with clear_errors(self.folder):
            about = [_about(self._path(number)) for number in range(len(self.manifest.parts))]
            lost = [Rejected(*entry[1:]) for part in about for entry in part["rejected"]]
            write_rejected(lost, self.folder)
            done = replace(
                self.manifest,
                made_with=made_with,
                n_rows=sum(part["rows"] for part in about),
                n_rejected=len(lost),
                images_per_second=images_per_second,
            )
            done.write(self.folder)
            return done

    def close(self) -> None:
        """Let others write to the folder."""
        self._claim.close()

    def _path(self, number: int) -> Path:
        return part_path(self.folder, self.manifest, number)


def write_part(folder: Path, manifest: Manifest, number: int, part: FeatureSet) -> None:
    """As `Writer.write`, for a process that works for the one that has the Writer."""
    with clear_errors(folder):
        write_table(_table(part, manifest), part_path(folder, manifest, number))


def part_path(folder: Path, manifest: Manifest, number: int) -> Path:
    """Readers take parts in the order of their names, which is that of their numbers: all have as many digits."""
    digits = max(5, len(str(len(manifest.parts) - 1)))
    return folder / f"part-{number:0{digits}d}.parquet"


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as one row group, whole or not at all."""
    with files.written_whole(path) as file:
        # Features hardly ever repeat, so that looking for repetitions costs memory and time for nothing.
        pq.write_table(table, file, row_group_size=max(1, len(table)), use_dictionary=["label", "pred"])


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    with files.readable(path) as file:
        return pq.read_table(file, columns=columns, use_threads=False, pre_buffer=False)


def write_rejected(rejected: list[Rejected] | tuple[Rejected, ...], folder: Path) -> None:
    columns = {"id": [entry.id for entry in rejected], "reason": [entry.reason for entry in rejected]}
    write_table(pa.table(columns, pa.schema([("id", pa.string()), ("reason", pa.string())])), folder / REJECTED)


def _schema(manifest: Manifest) -> pa.Schema:
    kind = pa.from_numpy_dtype(np.dtype(manifest.dtype))
    columns = [(name, pa.float32() if name == "confidence" else pa.string()) for name in FIXED]
    columns += [(name, pa.list_(kind, int(np.prod(shape)))) for name, shape in manifest.shapes.items()]
    return pa.schema(columns)


def _table(part: FeatureSet, manifest: Manifest) -> pa.Table:
    columns = described(part, manifest)
    for name, shape in manifest.shapes.items():
        values = np.ascontiguousarray(part.stages[name], dtype=manifest.dtype).reshape(-1)
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(values), int(np.prod(shape)))
    rejected = [[position, entry.id, entry.reason] for position, entry in _rejected(part)]
    about = {"rows": len(part), "rejected": rejected}
    return pa.table(columns, _schema(manifest)).replace_schema_metadata({OURS: json.dumps(about).encode()})


def described(part: FeatureSet, manifest: Manifest) -> dict[str, pa.Array]:
    """Everything of the rows but their stages, as the columns of FIXED, with the manifest's names, which are unique."""
    said = part.predictions
    if said is not None:
        said = replace(said, class_names=manifest.prediction_names)
    table = replace(part, class_names=manifest.class_names, predictions=said).table()
    table.insert(FIXED.index("uri"), "uri", np.array(part.uris, dtype=object))
    kinds = [pa.float32() if name == "confidence" else pa.string() for name in FIXED]
    return {name: pa.array(table[name], kind, from_pandas=True) for name, kind in zip(FIXED, kinds, strict=True)}


def _rejected(part: FeatureSet) -> Iterator[tuple[int, Rejected]]:
    """The images that a part lacks, each with its place among those that the part covers."""
    absent = np.setdiff1d(np.arange(len(part) + len(part.rejected)), part.rows)
    return zip(absent.tolist(), part.rejected, strict=True)


def opened(folder: Path, manifest: Manifest) -> FeatureSet:
    """The set that lies in a folder of parts. Raises StoreError if parts are missing."""
    paths = [part_path(folder, manifest, number) for number in range(len(manifest.parts))]
    absent = [path.name for path in paths if not path.exists()]
    if absent or not manifest.complete:
        raise StoreError(
            f"{folder} is not complete: {len(paths) - len(absent)} of {len(paths)} parts are there. "
            "Run the command that began it again, and it goes on."
        )
    about = [_about(path) for path in paths]
    rows = [
        np.setdiff1d(np.arange(len(images)), [entry[0] for entry in part["rejected"]]) + images.start
        for images, part in zip(manifest.parts, about, strict=True)
    ]
    table = pa.concat_tables([read_table(path, list(FIXED)).replace_schema_metadata() for path in paths])
    rejected = tuple(Rejected(entry[1], entry[2]) for part in about for entry in part["rejected"])
    return as_set(table, np.concatenate(rows).astype(np.int64), ParquetStages(folder, manifest), rejected)


def as_set(table: pa.Table, rows: np.ndarray, stages: Stages, rejected: tuple[Rejected, ...]) -> FeatureSet:
    """The set whose rows are described by the columns of FIXED."""
    manifest = stages.manifest
    said = None
    if manifest.prediction_names:
        predicted = _indices(table["pred"], manifest.prediction_names)
        said = Predictions.told(manifest.prediction_names, predicted, table["confidence"].to_numpy())
    return FeatureSet(
        stages=stages,
        rows=rows,
        ids=tuple(table["id"].to_pylist()),
        uris=tuple(table["uri"].to_pylist()),
        labels=_indices(table["label"], manifest.class_names) if manifest.labelled else None,
        class_names=manifest.class_names,
        predictions=said,
        rejected=rejected,
        provenance=Provenance.from_dict({**manifest.settings, **manifest.made_with}),
    )


def read_rejected(folder: Path) -> tuple[Rejected, ...]:
    table = read_table(folder / REJECTED)
    return tuple(map(Rejected, table["id"].to_pylist(), table["reason"].to_pylist()))


def _about(path: Path) -> dict[str, Any]:
    with files.readable(path) as file:
        metadata = pq.read_schema(file).metadata or {}
    if OURS not in metadata:
        raise StoreError(f"{path} was not written by this program. Delete it, and run the same command again.")
    return json.loads(metadata[OURS])


def _is_whole(path: Path) -> bool:
    """Whether a part is there and ends as it should; what a crash of the machine cut off is read again."""
    if not path.exists():
        return False
    try:
        _about(path)
        return True
    except pa.ArrowException:
        return False


def _indices(values: pa.ChunkedArray, names: tuple[str, ...]) -> np.ndarray:
    return pc.index_in(values, pa.array(names, pa.string())).to_numpy().astype(np.int64)


class ParquetStages(Stages):
    """Stages in parts; a range of rows is read from the parts that it touches."""

    @cached_property
    def _ends(self) -> np.ndarray:
        """(P,) the number of rows up to the end of each part."""
        paths = (part_path(self.folder, self.manifest, number) for number in range(len(self.manifest.parts)))
        return np.cumsum([_about(path)["rows"] for path in paths])

    def _read(self, stage: str, start: int, stop: int) -> np.ndarray:
        shape = self.manifest.shapes[stage]
        found = np.empty((stop - start, *shape), self.manifest.dtype)
        first, end = np.searchsorted(self._ends, [start, stop], side="right")
        for number in range(first, min(end + 1, len(self._ends))):
            column = read_table(part_path(self.folder, self.manifest, number), [stage])[stage].combine_chunks()
            values = column.flatten().to_numpy().reshape(-1, *shape)
            begins = int(self._ends[number]) - len(values)
            here = values[max(0, start - begins) : max(0, stop - begins)]
            place = max(0, begins - start)
            found[place : place + len(here)] = here
            del column, values, here
            pa.default_memory_pool().release_unused()  # or it keeps what the largest column took
        return found
