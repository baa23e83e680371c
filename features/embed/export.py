"""Maps as a folder: what lies where for people and programs, and what places new images on them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features import files
from features.claim import MANIFEST, Claim, Kind, read_json
from features.embed.maps import StageMaps
from features.embed.placing import Placed, Placement
from features.embed.projection import MapSettings, Projection
from features.embed.scores import Separation
from features.errors import FeatureError
from features.neighbours.neighbours import need_finite
from features.results import Provenance

PROJECTION, PLACED = "projection.parquet", "placed.parquet"
ROWS_AT_ONCE = 65_536  # a row group: the neighbours' ids of a million rows are more than Arrow has in one column


class MapError(FeatureError):
    """A folder of maps cannot be written or read."""


MAPS = Kind("maps", "maps of features", error=MapError)
PLACED_IMAGES = Kind("placed", "images placed on maps", error=MapError)


def features_name(stage: str) -> str:
    """The file with the features of a map's images, (N, D) float32, by which others are placed on it."""
    return f"features-{stage}.npy"


@dataclass(frozen=True, eq=False)
class Described:
    """What a folder of maps says of them beside the points.

    seeds: stage -> Procrustes distance to the map of another seed, in [0, 1]. separation: stage -> how its features
    tell the labels apart; both may lack stages. labels: (N,) names as objects, or None.
    """

    seeds: Mapping[str, float]
    separation: Mapping[str, Separation]
    labels: np.ndarray | None = None

    def of(self, stage: str, projection: Projection) -> dict[str, Any]:
        """A stage's entry in the manifest."""
        told: dict[str, Any] = {"trust": projection.trust.scores() | {"neighbours": projection.trust.k}}
        if stage in self.seeds:
            told["seed_to_seed"] = self.seeds[stage]
        if stage in self.separation:
            told["separation"] = self.separation[stage].as_dict()
        return told


def write(
    claim: Claim, maps: StageMaps, stages: Mapping[str, np.ndarray], ids: Sequence[str], described: Described
) -> dict[str, Any]:
    """Write maps to a folder that was claimed; returns its manifest's content.

    projection.parquet has a row of every image at every stage, stage by stage in row groups of equal number: id, label,
    stage, x, y, the ids and distances of its nearest others in the stage's features from near to far, and trust, the
    share of the point's neighbours on the map that are its neighbours there. Raises MapError as `Claim.commit` does.
    """
    with claim.file(PROJECTION) as file, pq.ParquetWriter(file, _schema()) as writer:
        for stage, projection in maps.items():
            for start in range(0, len(ids), ROWS_AT_ONCE):
                rows = slice(start, start + ROWS_AT_ONCE)
                writer.write_table(_table(stage, projection, rows, ids, described.labels))
    for stage in maps:
        with claim.file(features_name(stage)) as file:
            np.lib.format.write_array(file, np.ascontiguousarray(stages[stage], np.float32), allow_pickle=False)
    first = next(iter(maps.values()))
    content = {
        "n_images": len(ids),
        "map": first.settings.as_dict(),
        "stages": {stage: described.of(stage, projection) for stage, projection in maps.items()},
        "provenance": first.provenance.as_dict(),
    }
    claim.commit(content)
    return content


def _schema() -> pa.Schema:
    return pa.schema(
        [
            ("id", pa.string()),
            ("label", pa.string()),
            ("stage", pa.string()),
            ("x", pa.float32()),
            ("y", pa.float32()),
            ("neighbours", pa.list_(pa.string())),
            ("distances", pa.list_(pa.float32())),
            ("trust", pa.float32()),
        ]
    )


def _table(stage: str, projection: Projection, rows: slice, ids: Sequence[str], labels: np.ndarray | None) -> pa.Table:
    points, near = projection.points[rows], projection.graph.indices[rows, 1:]
    columns = [
        pa.array(ids[rows], pa.string()),
        pa.nulls(len(points), pa.string()) if labels is None else pa.array(labels[rows], pa.string()),
        pa.array([stage] * len(points), pa.string()),
        pa.array(points[:, 0]),
        pa.array(points[:, 1]),
        _lists(pa.array([ids[row] for row in near.ravel()], pa.string()), near.shape),
        _lists(pa.array(projection.graph.distances[rows, 1:].ravel()), near.shape),
        pa.array(projection.trust.points[rows]),
    ]
    return pa.table(columns, _schema())


def _lists(values: pa.Array, shape: tuple[int, ...]) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.arange(shape[0] + 1, dtype=np.int32) * shape[1]), values)


@dataclass(frozen=True, eq=False)
class OpenedMaps:
    """Maps that were written to a folder.

    ids: (N,) of their images. stages: in their order. settings: of the maps. provenance: of the features.
    content: what the manifest says.
    """

    folder: Path
    ids: tuple[str, ...]
    stages: tuple[str, ...]
    settings: MapSettings
    provenance: Provenance
    content: Mapping[str, Any]

    def points(self, stage: str) -> np.ndarray:
        """The map of a stage, (N, 2) float32. Raises MapError for one that is not there."""
        self._need(stage)
        with _read(self.folder):
            table = pq.ParquetFile(self.folder / PROJECTION)
            rows = table.read_row_groups(_groups(table, self.stages, stage), columns=["x", "y"])
        return np.stack([rows["x"].to_numpy(), rows["y"].to_numpy()], axis=1)

    def placement(self, stage: str) -> Placement:
        """What places new images on a stage's map. Raises MapError as `points`."""
        points = self.points(stage)
        with _read(self.folder):
            features = np.load(self.folder / features_name(stage), mmap_mode="r", allow_pickle=False)
            if features.ndim != 2 or len(features) != len(self.ids) or features.dtype != np.float32:
                raise ValueError(f"{features_name(stage)} has {features.dtype} {features.shape}")
            if not np.isfinite(points).all():
                raise ValueError(f"points of {stage} are not finite")
        need_finite(features)
        return Placement(features, points, self.settings)

    def _need(self, stage: str) -> None:
        if stage not in self.stages:
            raise MapError(f"{self.folder} has no map of {stage}, only of {', '.join(self.stages)}.")


def open_maps(folder: Path) -> OpenedMaps:
    """The maps that were written to a folder. Raises MapError if there are none, or they cannot be read."""
    content = read_json(folder / MANIFEST) if files.is_local(folder) and (folder / MANIFEST).is_file() else None
    if not isinstance(content, dict) or content.get("kind") != MAPS.name:
        raise MapError(f"{folder} holds no maps. Name a folder that `python -m features embed` made.")
    try:
        with _read(folder):
            table = pq.ParquetFile(folder / PROJECTION)
            if not table.schema_arrow.equals(_schema()):
                raise ValueError(f"{PROJECTION} has other columns")
            stages = tuple(content["stages"])
            ids = table.read_row_groups(_groups(table, stages, stages[0]), columns=["id"])["id"].to_pylist()
        settings, told = MapSettings(**content["map"]), Provenance.from_dict(content["provenance"])
        settings.need_sound()
        if not isinstance(settings.neighbours, int):
            raise ValueError(f"{settings.neighbours} neighbours")
        return OpenedMaps(folder, tuple(ids), stages, settings, told, content)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise MapError(f"{folder / MANIFEST} is damaged: {error}. Make the maps again with --replace.") from error


def _groups(table: pq.ParquetFile, stages: Sequence[str], stage: str) -> list[int]:
    """The row groups of a stage, of which every stage has as many."""
    each = table.num_row_groups // len(stages)
    first = stages.index(stage) * each
    return [*range(first, first + each)]


@contextmanager
def _read(folder: Path) -> Iterator[None]:
    """Turns what NumPy and Arrow say of damaged files into MapError."""
    try:
        yield
    except (OSError, ValueError, KeyError, EOFError, pa.ArrowException) as error:
        raise MapError(f"The maps in {folder} cannot be read: {error}. Make them again with --replace.") from error


def write_placed(claim: Claim, placed: Mapping[str, Placed], ids: Sequence[str], maps: OpenedMaps) -> dict[str, Any]:
    """Write where new images lie: id, stage, x, y, ids and distances of the nearest images of the map."""
    with claim.file(PLACED) as file, pq.ParquetWriter(file, _placed_schema()) as writer:
        for stage, where in placed.items():
            for table in _placed_tables(stage, where, ids, maps.ids):
                writer.write_table(table)
    content = {"n_images": len(ids), "stages": list(placed), "map": maps.settings.as_dict()}
    claim.commit(content)
    return content


def _placed_schema() -> pa.Schema:
    return pa.schema([field for field in _schema() if field.name not in ("label", "trust")])


def _placed_tables(stage: str, where: Placed, ids: Sequence[str], known: Sequence[str]) -> Iterator[pa.Table]:
    names = pa.array(known, pa.string())
    for start in range(0, len(ids), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        points, near, far = where.points[rows], where.indices[rows], where.distances[rows]
        yield pa.table(
            [
                pa.array(ids[rows], pa.string()),
                pa.array([stage] * len(points), pa.string()),
                pa.array(points[:, 0]),
                pa.array(points[:, 1]),
                _lists(names.take(pa.array(near.ravel())), near.shape),
                _lists(pa.array(far.ravel()), near.shape),
            ],
            _placed_schema(),
        )


def settings_of(features: Provenance, stages: Mapping[str, str], settings: MapSettings) -> dict[str, Any]:
    """What the claim on a folder of maps compares. stages: name -> digest of its features."""
    return json.loads(json.dumps({"features": features.as_dict(), "stages": stages, **settings.as_dict()}))
