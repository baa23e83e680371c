"""The rows as Parquet: written and read part by part."""

import json
from collections.abc import Iterator, Mapping, Sequence
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
from features.datasets.image_set import JOIN, joined
from features.predictions import Predictions
from features.results import Provenance
from features.store.feature_set import FeatureSet, Stages
from features.store.manifest import REJECTED, Manifest, StoreError

KINDS = {"bool": pa.bool_(), "int64": pa.int64(), "float64": pa.float64(), "text": pa.string()}
FIXED = ("id", "uri", "label", "pred", "confidence")
UNREADABLE, ASIDE = "unreadable", "left aside"  # why something has no row
OURS = b"resnet_explorer"  # the key of what a part says of itself


def part_name(manifest: Manifest, number: int) -> str:
    """Readers take parts in the order of their names, which is that of their numbers: all have as many digits."""
    digits = max(5, len(str(len(manifest.parts) - 1)))
    return f"part-{number:0{digits}d}.parquet"


def write_table(table: pa.Table, path: Path, scratch: Path | None = None) -> None:
    """Write a table as one row group, whole or not at all. scratch: as of `files.written_whole`."""
    with files.written_whole(path, scratch) as file:
        # Features hardly ever repeat, so that looking for repetitions costs memory and time for nothing.
        pq.write_table(table, file, row_group_size=max(1, len(table)), use_dictionary=["label", "pred"])


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    with files.readable(path) as file:
        return pq.read_table(file, columns=columns, use_threads=False, pre_buffer=False)


def write_rejected(
    rejected: Sequence[Rejected], aside: Sequence[Rejected], folder: Path, scratch: Path | None = None
) -> None:
    """Write which images could not be read, and which files of their source were no part of the set."""
    every = [*rejected, *aside]
    columns = {
        "id": [entry.id for entry in every],
        "reason": [entry.reason for entry in every],
        "kind": [UNREADABLE] * len(rejected) + [ASIDE] * len(aside),
    }
    write_table(pa.table(columns, pa.schema([(name, pa.string()) for name in columns])), folder / REJECTED, scratch)


def _schema(manifest: Manifest) -> pa.Schema:
    kind = pa.from_numpy_dtype(np.dtype(manifest.dtype))
    columns = [(name, pa.float32() if name == "confidence" else pa.string()) for name in FIXED]
    columns += [(name, KINDS[kind]) for name, kind in manifest.columns.items()]
    columns += [(name, pa.list_(kind, int(np.prod(shape)))) for name, shape in manifest.shapes.items()]
    return pa.schema(columns)


def columns_of(columns: Mapping[str, np.ndarray], stages: Sequence[str]) -> dict[str, str]:
    """The further columns of a set as a manifest has them, in their order, under names that nothing else has."""
    taken = {*FIXED, *stages, "row"}
    names: dict[str, str] = {}
    for name, values in columns.items():
        free = name
        while free in taken or free in names:
            free += "_"
        names[free] = "text" if values.dtype == object else values.dtype.name
    return names


def table_of(part: FeatureSet, manifest: Manifest) -> pa.Table:
    columns = described(part, manifest)
    for name, shape in manifest.shapes.items():
        values = np.ascontiguousarray(part.stages[name], dtype=manifest.dtype).reshape(-1)
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(values), int(np.prod(shape)))
    rejected = [[position, entry.id, entry.reason] for position, entry in _rejected(part)]
    told = {"rows": len(part), "rejected": rejected}
    return pa.table(columns, _schema(manifest)).replace_schema_metadata({OURS: json.dumps(told).encode()})


def described(part: FeatureSet, manifest: Manifest) -> dict[str, pa.Array]:
    """Everything of the rows but their stages: the columns of FIXED and the manifest's, with its names, all unique."""
    said = part.predictions
    if said is not None:
        said = replace(said, class_names=manifest.prediction_names)
    table = replace(part, class_names=manifest.class_names, predictions=said).table()
    table.insert(FIXED.index("uri"), "uri", np.array(part.uris, dtype=object))
    if said is not None and said.assigned is not None:
        table["pred"] = np.array([*(joined(has, said.class_names) for has in said.assigned), ""], dtype=object)[:-1]
    kinds = [pa.float32() if name == "confidence" else pa.string() for name in FIXED]
    fixed = {name: pa.array(table[name], kind, from_pandas=True) for name, kind in zip(FIXED, kinds, strict=True)}
    values = dict(zip(manifest.columns, part.columns.values(), strict=True))  # under the names that they have here
    return fixed | {
        name: pa.array(values[name], KINDS[kind], from_pandas=True) for name, kind in manifest.columns.items()
    }


def _rejected(part: FeatureSet) -> Iterator[tuple[int, Rejected]]:
    """The images that a part lacks, each with its place among those that the part covers."""
    absent = np.setdiff1d(np.arange(len(part) + len(part.rejected)), part.rows)
    return zip(absent.tolist(), part.rejected, strict=True)


def opened(folder: Path, manifest: Manifest) -> FeatureSet:
    """The set that lies in a folder of parts. Raises StoreError if parts are missing."""
    paths = [folder / part_name(manifest, number) for number in range(len(manifest.parts))]
    absent = [path.name for path in paths if not path.exists()]
    if absent or not manifest.complete:
        raise StoreError(
            f"{folder} is not complete: {len(paths) - len(absent)} of {len(paths)} parts are there. "
            "Run the command that began it again, and it goes on."
        )
    told = [about(path) for path in paths]
    rows = [
        np.setdiff1d(np.arange(len(images)), [entry[0] for entry in part["rejected"]]) + images.start
        for images, part in zip(manifest.parts, told, strict=True)
    ]
    table = pa.concat_tables(
        [read_table(path, [*FIXED, *manifest.columns]).replace_schema_metadata() for path in paths]
    )
    rejected = tuple(Rejected(entry[1], entry[2]) for part in told for entry in part["rejected"])
    aside = read_rejected(folder)[1] if (folder / REJECTED).exists() else ()
    return as_set(table, np.concatenate(rows).astype(np.int64), ParquetStages(folder, manifest), rejected, aside)


def as_set(
    table: pa.Table,
    rows: np.ndarray,
    stages: Stages,
    rejected: tuple[Rejected, ...],
    aside: tuple[Rejected, ...],
) -> FeatureSet:
    """The set whose rows are described by the columns of FIXED."""
    manifest = stages.manifest
    said = None
    if manifest.prediction_names:
        said = _predictions(table["pred"], table["confidence"].to_numpy(), manifest)
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
        aside=aside,
        label_sets=_label_sets(table["label"].to_pylist(), manifest.class_names) if manifest.many_labels else None,
        columns={name: _column(table[name], kind) for name, kind in manifest.columns.items()},
    )


def _predictions(predicted: pa.ChunkedArray, confidence: np.ndarray, manifest: Manifest) -> Predictions:
    names = manifest.prediction_names
    if manifest.many_predicted:
        return Predictions.told_labels(names, _label_sets(predicted.to_pylist(), names), confidence)
    if set(predicted.unique().to_pylist()) <= {*names}:
        return Predictions.told(names, _indices(predicted, names), confidence)
    # An earlier version put commas between the labels that a network predicts.
    cells = [None if cell is None else cell.replace(", ", JOIN) for cell in predicted.to_pylist()]
    return Predictions.told_labels(names, _label_sets(cells, names), confidence)


def _label_sets(cells: Sequence[str | None], names: tuple[str, ...]) -> np.ndarray:
    """(N, K) bool of labels with ';' between them."""
    place = {name: index for index, name in enumerate(names)}
    sets = np.zeros((len(cells), len(names)), bool)
    for row, cell in enumerate(cells):
        sets[row, [place[name] for name in cell.split(JOIN)] if cell else []] = True
    return sets


def _column(values: pa.ChunkedArray, kind: str) -> np.ndarray:
    if kind != "text":
        return values.to_numpy().astype(kind)
    texts = np.empty(len(values), dtype=object)
    texts[:] = values.to_pylist()
    return texts


def read_rejected(folder: Path) -> tuple[tuple[Rejected, ...], tuple[Rejected, ...]]:
    """What could not be read, and what was left aside; in folders of earlier versions there is none of that."""
    table = read_table(folder / REJECTED)
    every = [*map(Rejected, table["id"].to_pylist(), table["reason"].to_pylist())]
    kinds = table["kind"].to_pylist() if "kind" in table.column_names else [UNREADABLE] * len(every)
    rejected, aside = (
        tuple(entry for entry, kind in zip(every, kinds, strict=True) if kind == wanted)
        for wanted in (UNREADABLE, ASIDE)
    )
    return rejected, aside


def about(path: Path) -> dict[str, Any]:
    """What a part says of itself: how many rows it has, and which images it lacks. Raises StoreError for another's."""
    with files.readable(path) as file:
        metadata = pq.read_schema(file).metadata or {}
    if OURS not in metadata:
        raise StoreError(f"{path} was not written by this program. Move it away, and run the same command again.")
    return json.loads(metadata[OURS])


def is_whole(path: Path) -> bool:
    """Whether a part is there and ends as it should; what a crash of the machine cut off is read again."""
    if not path.exists():
        return False
    try:
        about(path)
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
        paths = (self.folder / part_name(self.manifest, number) for number in range(len(self.manifest.parts)))
        return np.cumsum([about(path)["rows"] for path in paths])

    def _read(self, stage: str, start: int, stop: int) -> np.ndarray:
        shape = self.manifest.shapes[stage]
        rows = np.empty((stop - start, *shape), self.manifest.dtype)
        first, end = np.searchsorted(self._ends, [start, stop], side="right")
        for number in range(first, min(end + 1, len(self._ends))):
            column = read_table(self.folder / part_name(self.manifest, number), [stage])[stage].combine_chunks()
            values = column.flatten().to_numpy().reshape(-1, *shape)
            begins = int(self._ends[number]) - len(values)
            here = values[max(0, start - begins) : max(0, stop - begins)]
            at = max(0, begins - start)
            rows[at : at + len(here)] = here
            del column, values, here
            pa.default_memory_pool().release_unused()  # or it keeps what the largest column took
        return rows
