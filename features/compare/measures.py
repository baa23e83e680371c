"""How alike two networks' stages are by every measure, of a sample of images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from features.compare.contender import Contender
from features.compare.means import or_none
from features.progress import Task
from features.similarity import MEASURES, Layers, Resampling, Similarity, compared

if TYPE_CHECKING:
    import pandas as pd

IMAGES = 200  # which tell a stage's similarity within some hundredths, at the price of a few seconds
PERMUTATIONS, HALVES = 5, 8


@dataclass(frozen=True, eq=False)
class Measured:
    """tables: of every measure of `similarity.MEASURES`, every stage of one network with every stage of the other."""

    tables: tuple[Similarity, ...]

    def table(self) -> "pd.DataFrame":
        """One row per measure and two stages."""
        import pandas as pd

        # So few permutations tell what chance gives, and no p value worth a look.
        return pd.DataFrame([row for each in self.tables for row in rows_of(each, "stage")]).drop(columns="p_value")

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            each.measure: {
                "stages": list(each.rows), "stages_beside": list(each.columns), "images": each.n_images,
                "values": [[or_none(value) for value in row] for row in each.values],
            }
            for each in self.tables
        }  # fmt: skip


def measured(first: Contender, second: Contender, ids: Sequence[str], seed: int) -> Task[Measured]:
    """Two networks' stages by all measures, of at most IMAGES images, with chance and intervals."""
    order = np.random.default_rng(seed).permutation(len(first.rows))
    rows = np.sort(order[:IMAGES])
    left, right = (stages_of(each, ids, rows) for each in (first, second))
    tables = []
    for name in MEASURES:
        tables.append((yield from compared(left, right, name, Resampling(PERMUTATIONS, HALVES, seed))))
    return Measured(tuple(tables))


def stages_of(told: Contender, ids: Sequence[str], rows: np.ndarray) -> Layers:
    """A network's stem and stages, of some of the M images that its blocks were read for."""
    features = {stage: np.asarray(told.layers[block][rows]) for stage, block in told.stage_names.items()}
    return Layers(features, tuple(ids[row] for row in told.rows[rows]), told.provenance)


def rows_of(told: Similarity, part: str) -> list[dict[str, Any]]:
    """A similarity as rows of a table. part: what it compares, 'stage' or 'block'."""
    return [
        {
            part: first, f"{part} beside": second, "depth": told.row_depths[row],
            "depth beside": told.column_depths[column], "measure": told.measure, "value": told.values[row, column],
            "low": told.low[row, column], "high": told.high[row, column], "chance": told.chance[row, column],
            "p_value": told.p_values[row, column], "images": told.n_images,
        }
        for row, first in enumerate(told.rows)
        for column, second in enumerate(told.columns)
    ]  # fmt: skip
