"""Feature sets in memory and on disk.

A folder of features, format version 1:

    manifest.json        what made the features, the shape of every stage, and how many images there were
    part-00000.parquet   rows in the order of the images: id, uri, label, pred, confidence, then one column a stage:
                         fixed-size lists of float32, or of float16 for spatial maps (C x H x W, flattened)
    rejected.parquet     id and reason of every image that could not be read

Each part holds the images of a fixed range of the source in one row group and appears under its name only when it is
whole. So a run that was killed goes on with the first part that is missing, and ends as if it had never stopped.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from features import files
from features.datasets import Rejected
from features.errors import FeatureError

VERSION = 1
MANIFEST, REJECTED, LOCK = "manifest.json", "rejected.parquet", ".lock"
PART_IMAGES = 25_000
PART_BYTES = 64 * 2**20  # so that memory does not grow with the width of the stages
HEADROOM = 1.02  # ids, names and Parquet's own words beside the values
FIXED = ("id", "uri", "label", "pred", "confidence")
OURS = b"resnet_explorer"  # the key of what a part says of itself


class StoreError(FeatureError):
    """A folder of features cannot be written, read or gone on with."""


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features and predictions of N images.

    stages: name -> (N, D) float32, or (N, C, H, W) float16 where the maps were not pooled; a set that was opened
        from disk reads a stage whenever it is asked for.
    rows: (N,) int64 positions in the image set, ascending; ids, uris: their names and where they lie.
    labels: (N,) int64 into class_names, or None.
    predictions: (N,) int64 into prediction_names, confidences: (N,) float32, the softmax of the predicted class in
        [0, 1]; both None for a network without a head.
    rejected: images that could not be read.
    provenance: what made the features.
    """

    stages: Mapping[str, np.ndarray]
    rows: np.ndarray
    ids: tuple[str, ...]
    uris: tuple[str, ...]
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    predictions: np.ndarray | None
    prediction_names: tuple[str, ...]
    confidences: np.ndarray | None
    rejected: tuple[Rejected, ...]
    provenance: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.rows)

    @staticmethod
    def open(folder: Path | str) -> "FeatureSet":
        """A set that was written to a folder. Raises StoreError if there is none, or not a whole one."""
        return _open(Path(folder).expanduser())


@dataclass(frozen=True)
class Manifest:
    """What a folder of features holds and what made it; the fields stand so in manifest.json.

    settings: everything that the values depend on; a run with other settings is another run.
    shapes: stage -> shape of one image's values; dtype: 'float32' or 'float16'.
    n_images: images of the source; part_images: how many of them each part covers.
    made_with: device, engine, library versions: what may differ between two parts.
    """

    settings: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    dtype: str
    class_names: tuple[str, ...]
    prediction_names: tuple[str, ...]
    labelled: bool
    n_images: int
    part_images: int
    made_with: dict[str, Any] = field(default_factory=dict)
    n_rows: int | None = None
    n_rejected: int | None = None
    images_per_second: float | None = None
    version: int = VERSION

    @property
    def complete(self) -> bool:
        return self.n_rows is not None

    @property
    def bytes_per_image(self) -> int:
        return _bytes_per_image(self.shapes, self.dtype)

    @property
    def bytes_in_all(self) -> int:
        """About what the parts take on disk."""
        return int(HEADROOM * self.n_images * (self.bytes_per_image + 100))

    @property
    def parts(self) -> tuple[range, ...]:
        """The images that each part covers."""
        starts = range(0, self.n_images, self.part_images)
        return tuple(range(start, min(start + self.part_images, self.n_images)) for start in starts)

    def without_results(self) -> dict[str, Any]:
        """What two runs must have in common for one to go on with the other's parts."""
        content = json.loads(json.dumps(asdict(self)))
        for name in ("made_with", "n_rows", "n_rejected", "images_per_second"):
            del content[name]
        return content


def part_images(shapes: Mapping[str, tuple[int, ...]], dtype: str) -> int:
    """How many images a part covers: 25,000, or as many as make 64 MiB where they are wide."""
    return max(1, min(PART_IMAGES, PART_BYTES // max(1, _bytes_per_image(shapes, dtype))))


def _bytes_per_image(shapes: Mapping[str, tuple[int, ...]], dtype: str) -> int:
    return sum(int(np.prod(shape)) for shape in shapes.values()) * np.dtype(dtype).itemsize


class Writer:
    """Writes the parts of one feature set, in any order; parts that are there already stay."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Begin a folder, or go on with one.

        Raises StoreError if the folder is of a run with other settings, is not a folder of features, cannot be
        written or is being written by another process, or if the disk has too little room.
        """
        self.folder, self.manifest = folder, manifest
        with _clear_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / LOCK, timeout=0)  # let go of by the system if this process dies
            try:
                self._lock.acquire()
            except Timeout as error:
                raise StoreError(
                    f"Another run is writing to {folder}. Wait for it, or choose another folder."
                ) from error
            old = folder / MANIFEST
            if old.exists():
                self._need_same(read_manifest(folder))
            elif any(entry.name != LOCK for entry in folder.iterdir()):
                raise StoreError(f"{folder} holds other things than features. Choose a new or an empty folder.")
            self._need_room()
            if not old.exists():
                self._write_manifest(manifest)

    def missing(self) -> list[int]:
        """The numbers of the parts that are not there yet."""
        return [number for number in range(len(self.manifest.parts)) if not self._path(number).exists()]

    def write(self, number: int, part: FeatureSet) -> None:
        """Write one part: the readable images of `manifest.parts[number]`, with rows that count from the first."""
        with _clear_errors(self.folder):
            path = self._path(number)
            temporary = path.with_suffix(".tmp")
            table = _table(part, self.manifest)
            try:
                pq.write_table(table, temporary, row_group_size=max(1, len(table)))
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

    def finish(self, images_per_second: float, made_with: dict[str, Any]) -> Manifest:
        """Collect what was rejected and close the manifest. Every part must be there."""
        with _clear_errors(self.folder):
            about = [_about(self._path(number)) for number in range(len(self.manifest.parts))]
            lost = [entry for part in about for entry in part["rejected"]]
            columns = {"id": [entry[1] for entry in lost], "reason": [entry[2] for entry in lost]}
            schema = pa.schema([("id", pa.string()), ("reason", pa.string())])
            temporary = self.folder / f"{REJECTED}.tmp"
            pq.write_table(pa.table(columns, schema), temporary)
            temporary.replace(self.folder / REJECTED)
            done = replace(
                self.manifest,
                made_with=made_with,
                n_rows=sum(part["rows"] for part in about),
                n_rejected=len(lost),
                images_per_second=images_per_second,
            )
            self._write_manifest(done)
            return done

    def close(self) -> None:
        """Let others write to the folder."""
        self._lock.release()

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.parquet"

    def _write_manifest(self, manifest: Manifest) -> None:
        content = asdict(manifest) | {"complete": manifest.complete}
        files.write_whole(self.folder / MANIFEST, (json.dumps(content, indent=1) + "\n").encode())

    def _need_same(self, old: Manifest) -> None:
        one, other = old.without_results(), self.manifest.without_results()
        one |= one.pop("settings")
        other |= other.pop("settings")
        differs = [f"{name} was {_short(one.get(name))} and is {_short(other.get(name))}"
                   for name in one | other if one.get(name) != other.get(name)]  # fmt: skip
        if differs:
            raise StoreError(
                f"{self.folder} holds the features of another run: {'; '.join(differs)}. "
                "Use the same settings to go on with it, or choose another folder."
            )

    def _need_room(self) -> None:
        left = sum(len(self.manifest.parts[number]) for number in self.missing())
        needed = int(self.manifest.bytes_in_all * left / max(1, self.manifest.n_images))
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise StoreError(
                f"The features take about {needed / 2**20:,.0f} MiB, but {self.folder} has {free / 2**20:,.0f} MiB "
                "free. Choose another folder, fewer stages or fewer images."
            )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_manifest(folder: Path) -> Manifest:
    """What a folder of features says of itself. Raises StoreError if it is no such folder, or of a later version."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version = content.get("version")
        if version == VERSION:
            content["shapes"] = {name: tuple(shape) for name, shape in content["shapes"].items()}
            for name in ("class_names", "prediction_names"):
                content[name] = tuple(content[name])
            return Manifest(**{name: content[name] for name in Manifest.__dataclass_fields__})
    except FileNotFoundError as error:
        raise StoreError(
            f"{folder} has no {MANIFEST}, so it is no folder of features. Make one with `python -m features extract`."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{folder / MANIFEST} is damaged: {error}. Extract the features again.") from error
    raise StoreError(
        f"{folder} has format version {version!r}; this program reads {VERSION}. Use the one that made it."
    )


@contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # also Arrow's
        reason = error.strerror or str(error)
        raise StoreError(
            f"The features cannot be written to {folder}: {reason}. The parts that are there are whole: mend this, "
            "and run the same command again."
        ) from error


def _schema(manifest: Manifest) -> pa.Schema:
    kind = pa.from_numpy_dtype(np.dtype(manifest.dtype))
    columns = [("id", pa.string()), ("uri", pa.string()), ("label", pa.string()), ("pred", pa.string())]
    columns += [("confidence", pa.float32())]
    columns += [(name, pa.list_(kind, int(np.prod(shape)))) for name, shape in manifest.shapes.items()]
    return pa.schema(columns)


def _table(part: FeatureSet, manifest: Manifest) -> pa.Table:
    n_rows = len(part)
    none = pa.nulls(n_rows, pa.string())
    columns = {
        "id": pa.array(part.ids, pa.string()),
        "uri": pa.array(part.uris, pa.string()),
        "label": none if part.labels is None else _names(part.labels, manifest.class_names),
        "pred": none if part.predictions is None else _names(part.predictions, manifest.prediction_names),
        "confidence": pa.nulls(n_rows, pa.float32()) if part.confidences is None else pa.array(part.confidences),
    }
    for name in manifest.shapes:
        values = np.ascontiguousarray(part.stages[name], dtype=manifest.dtype).reshape(-1)
        width = int(np.prod(manifest.shapes[name]))
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(values), width)
    rejected = [[position, entry.id, entry.reason] for position, entry in _rejected(part)]
    about = {"rows": n_rows, "rejected": rejected}
    return pa.table(columns, _schema(manifest)).replace_schema_metadata({OURS: json.dumps(about).encode()})


def _rejected(part: FeatureSet) -> Iterator[tuple[int, Rejected]]:
    """The images that a part lacks, each with its place among those that the part covers."""
    absent = np.setdiff1d(np.arange(len(part) + len(part.rejected)), part.rows)
    return zip(absent.tolist(), part.rejected, strict=True)


def _names(indices: np.ndarray, names: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(names, pa.string())).cast(pa.string())


def unique_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same names, with its number behind each that stands there twice: ImageNet has two classes called maillot."""
    return tuple(name if names.count(name) == 1 else f"{name} ({index})" for index, name in enumerate(names))


def _open(folder: Path) -> FeatureSet:
    manifest = read_manifest(folder)
    paths = [folder / f"part-{number:05d}.parquet" for number in range(len(manifest.parts))]
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
    table = _read(paths, list(FIXED))
    headless = not manifest.prediction_names
    return FeatureSet(
        stages=_Columns(paths, manifest),
        rows=np.concatenate(rows).astype(np.int64),
        ids=tuple(table["id"].to_pylist()),
        uris=tuple(table["uri"].to_pylist()),
        labels=_indices(table["label"], manifest.class_names) if manifest.labelled else None,
        class_names=manifest.class_names,
        predictions=None if headless else _indices(table["pred"], manifest.prediction_names),
        prediction_names=manifest.prediction_names,
        confidences=None if headless else table["confidence"].to_numpy(),
        rejected=tuple(Rejected(entry[1], entry[2]) for part in about for entry in part["rejected"]),
        provenance={**manifest.settings, **manifest.made_with},
    )


def _about(path: Path) -> dict[str, Any]:
    metadata = pq.read_schema(path).metadata or {}
    if OURS not in metadata:
        raise StoreError(f"{path} was not written by this program. Delete it, and run the same command again.")
    return json.loads(metadata[OURS])


def _read(paths: list[Path], columns: list[str]) -> pa.Table:
    return pa.concat_tables([pq.read_table(path, columns=columns).replace_schema_metadata() for path in paths])


def _indices(values: pa.ChunkedArray, names: tuple[str, ...]) -> np.ndarray:
    return pc.index_in(values, pa.array(names, pa.string())).to_numpy().astype(np.int64)


class _Columns(Mapping[str, np.ndarray]):
    """The stages of a folder, each read when it is asked for."""

    def __init__(self, paths: list[Path], manifest: Manifest) -> None:
        self._paths, self._shapes = paths, manifest.shapes

    def __getitem__(self, stage: str) -> np.ndarray:
        if stage not in self._shapes:
            raise KeyError(stage)
        parts = [pq.read_table(path, columns=[stage])[stage].combine_chunks() for path in self._paths]
        return np.concatenate([part.flatten().to_numpy().reshape(-1, *self._shapes[stage]) for part in parts])

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)
