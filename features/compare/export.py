"""A comparison as a folder: counts as JSON, images, slices and similarities as tables of Parquet, and a report."""

import json
from collections.abc import Iterator, Sequence

import pandas as pd

from features.claim import Claim, Kind
from features.compare.comparison import Comparison
from features.compare.extras import ExtraResult
from features.compare.measures import rows_of

JSON, IMAGES, CLASSES = "comparison.json", "images.parquet", "classes.parquet"
SLICES, SIMILARITY, REPORT = "slices.parquet", "similarity.parquet", "report.html"
COMPARISON = Kind("comparison", "comparisons of networks")


def write(claim: Claim, told: Comparison, extras: Sequence[ExtraResult] = (), report: bytes | None = None) -> None:
    """Write a comparison to a folder that was claimed. report: all of it as a page, which who shows results makes.

    Raises FeatureError as `Claim.commit`.
    """
    for name, table in tables(told, extras):
        with claim.file(name) as file:
            table.to_parquet(file, index=False)
    if report is not None:
        claim.write(REPORT, report)
    content = as_dict(told, extras)
    claim.write(JSON, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
    claim.commit({"networks": content["networks"], "n_images": len(told.ids)})


def tables(told: Comparison, extras: Sequence[ExtraResult] = ()) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every table of a comparison, with the name of its file."""
    yield IMAGES, told.table()
    yield CLASSES, told.class_table()
    yield SLICES, told.slice_table()
    yield SIMILARITY, similarity_table(told)
    for name in dict.fromkeys(each.extra for each in extras):
        yield f"{name}.parquet", extra_table([each for each in extras if each.extra == name])


def similarity_table(told: Comparison) -> pd.DataFrame:
    """One row per pair of networks and of their blocks."""
    return pd.DataFrame(
        [
            {"network": pair.first, "beside": pair.second, **row}
            for pair in told.pairs
            for row in rows_of(pair.similarity, "block")
        ]
    )


def extra_table(extras: Sequence[ExtraResult]) -> pd.DataFrame:
    """The tables of one extra of all networks, with these in front."""
    tables = []
    for each in extras:
        table = each.result.table().drop(columns=["network", "beside"], errors="ignore")
        for place, (column, name) in enumerate(zip(("network", "beside"), each.networks, strict=False)):
            table.insert(place, column, name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def as_dict(told: Comparison, extras: Sequence[ExtraResult] = ()) -> dict[str, object]:
    """As JSON can hold it: all but what has a row for every image."""
    return {
        "images": told.images,
        "n_images": len(told.ids),
        "n_classes": len(told.common.names),
        "classes_in_common": told.common.how or "all",
        "classes_left_out": list(told.common.left_out),
        "images_of_other_classes": told.common.n_images_left_out,
        "guessed": list(told.common.notes),
        "seed": told.seed,
        "best": None if told.best is None else told.best.name,
        "networks": [each.as_dict() for each in told.contenders],
        "pairs": [
            {
                "network": pair.first, "beside": pair.second, **pair.agreement.as_dict(),
                "p_value_among_all": pair.p_value,
                "slices_that_differ": [each.as_dict() for each in pair.slices if each.differs],
            }
            for pair in told.pairs
        ],
        "extras": [{"extra": each.extra, "networks": list(each.networks), **each.result.as_dict()} for each in extras],
        "rejected": [{"id": each.id, "reason": each.reason} for each in told.rejected],
    }  # fmt: skip
