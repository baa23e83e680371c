"""A comparison as a folder: counts as JSON, images, slices and similarities as tables of Parquet, and a report."""

import json

import pandas as pd

from features.claim import Claim, Kind
from features.compare.comparison import Comparison

JSON, IMAGES, SLICES, SIMILARITY = "comparison.json", "images.parquet", "slices.parquet", "similarity.parquet"
REPORT = "report.html"
COMPARISON = Kind("comparison", "comparisons of networks")


def write(claim: Claim, told: Comparison, report: bytes | None = None) -> None:
    """Write a comparison to a folder that was claimed. report: all of it as a page, which who shows results makes.

    Raises FeatureError as `Claim.commit`.
    """
    for name, table in (
        (IMAGES, told.table()), (SLICES, told.slice_table()), (SIMILARITY, similarity_table(told)),
    ):  # fmt: skip
        with claim.file(name) as file:
            table.to_parquet(file, index=False)
    if report is not None:
        claim.write(REPORT, report)
    content = as_dict(told)
    claim.write(JSON, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
    claim.commit({"networks": content["networks"], "n_images": len(told.ids)})


def similarity_table(told: Comparison) -> pd.DataFrame:
    """One row per pair of networks and of their stages."""
    rows = [
        {
            "network": pair.first, "beside": pair.second, "stage": stage, "stage beside": other,
            "measure": pair.similarity.measure, "value": pair.similarity.values[row, column],
            "chance": pair.similarity.chance[row, column], "p_value": pair.similarity.p_values[row, column],
        }
        for pair in told.pairs
        for row, stage in enumerate(pair.similarity.rows)
        for column, other in enumerate(pair.similarity.columns)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def as_dict(told: Comparison) -> dict[str, object]:
    """As JSON can hold it: all but what has a row for every image."""
    return {
        "images": told.images,
        "n_images": len(told.ids),
        "best": None if told.best is None else told.best.name,
        "networks": [each.as_dict() for each in told.contenders],
        "pairs": [
            {
                "network": pair.first, "beside": pair.second, **pair.agreement.as_dict(),
                "slices_that_differ": [each.as_dict() for each in pair.slices if each.differs],
            }
            for pair in told.pairs
        ],
        "rejected": [{"id": each.id, "reason": each.reason} for each in told.rejected],
    }  # fmt: skip
