"""Branch statistics as a folder of tables."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from features.claim import MANIFEST, Claim, Held, Kind, read_json
from features.residual.statistics import BlockStatistics
from features.residual.tables import blocks, channels, classes

if TYPE_CHECKING:
    from features.residual.gradient_paths import Paths
    from features.residual.sweep import Sweep

BLOCKS, CHANNELS, CLASSES = "blocks.parquet", "channels.parquet", "classes.parquet"
LESIONS, PATHS = "lesions.parquet", "paths.parquet"
EARLIER_KEYS = {"n_images", "rejected", "intact", "paths", "files", "provenance"}  # of a manifest without a kind


def tables_of(
    statistics: BlockStatistics, sweep: "Sweep | None" = None, paths: "Paths | None" = None
) -> dict[str, pd.DataFrame]:
    """Every table by its file's name: blocks, channels and classes; of a sweep lesions, of paths paths."""
    made = {BLOCKS: blocks(statistics, sweep), CHANNELS: channels(statistics), CLASSES: classes(statistics)}
    if sweep is not None:
        made[LESIONS] = sweep.table()
    if paths is not None:
        made[PATHS] = paths.table()
    return made


def describe(statistics: BlockStatistics, sweep: "Sweep | None" = None, paths: "Paths | None" = None) -> dict[str, Any]:
    """What the manifest says beside the tables."""
    return {
        "n_images": statistics.n_images,
        "rejected": [asdict(entry) for entry in statistics.rejected],
        "intact": None if sweep is None else sweep.intact(),
        "paths": None if paths is None else {"n_images": paths.n_images, **paths.settings},
        "provenance": statistics.provenance.as_dict(),
    }


def write(claim: Claim, made: Mapping[str, pd.DataFrame], content: Mapping[str, Any]) -> None:
    """Write tables and their description to a folder that was claimed. Raises FeatureError as `Claim.commit`."""
    for name, table in made.items():
        with claim.file(name) as file:
            table.to_parquet(file, index=False)
    claim.commit({**content, "files": {name: len(table) for name, table in made.items()}})


def read(folder: Path, content: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables of a finished folder, by their files' names. content: its manifest; other files are not its own."""
    return {name: pd.read_parquet(folder / name) for name in content["files"]}


def _earlier(folder: Path, name: str) -> Held | None:
    """A folder of before manifests told their kind, which did not keep its settings either."""
    content = read_json(folder / MANIFEST) or {}
    listed = content.get("files")
    if content.keys() != EARLIER_KEYS or not isinstance(listed, dict):
        return None
    names = frozenset(listed) & {BLOCKS, CHANNELS, CLASSES, LESIONS, PATHS}
    return Held(None, names | {MANIFEST}, True, content)


TABLES = Kind("residual", "branch tables", earlier=_earlier)
