"""What a comparison was made of, and how it is made again."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from viz.reports.compare.told import Told
from viz.reports.document import Column, Command, Download, Fold, Part, Prose, Section, Table

MOST_VALUES = 400_000  # cells of the table of images: a few MB of the file
REJECTED = 50  # that are shown


def images(told: Told) -> Section:
    """All images as a table to take away, and those that were left out."""
    table = told.comparison.table()
    parts: list[Part] = []
    if table.size <= MOST_VALUES:
        parts.append(Download("images", "Every image with what each network says of it", table))
    else:
        parts.append(Prose(f"The table of all {len(table):,} images with what each network says of them is too large for "
                           "this file. The command writes it as images.parquet."))  # fmt: skip
    rejected = told.comparison.rejected
    if rejected:
        data = pd.DataFrame({"image": [each.id for each in rejected], "reason": [each.reason for each in rejected]})
        shown = data[:REJECTED]
        columns = (
            Column("image", shown["image"].tolist(), number=False),
            Column("why", shown["reason"].tolist(), number=False),
        )
        more = f"The first {REJECTED} of {len(data):,}." if len(data) > REJECTED else ""
        parts.append(
            Table("left-out", f"Left out, since some network could not read them ({len(data):,})", columns, data, more)
        )
    return Section("images-as-data", "Images", tuple(parts))


def provenance(told: Told) -> Section:
    """Networks, images and software by digests and versions, and the command."""
    facts = [dict(_facts(each.provenance.as_dict())) for each in told.comparison.contenders]
    common = {name: value for name, value in facts[0].items() if all(each.get(name) == value for each in facts)}
    folds = [
        Fold(
            f"made-{number}", each.name, "", (_table(f"made-of-{number}", each.name, {
                name: value for name, value in own.items() if name not in common}),), is_open=True,
        )
        for number, (each, own) in enumerate(zip(told.comparison.contenders, facts, strict=True), start=1)
    ]  # fmt: skip
    parts: tuple[Part, ...] = (
        Prose("This file is made again by"),
        Command(told.command),
        Prose("which goes on with the same numbers where weights, images and versions are those below.", quiet=True),
        _table("made-of", "Common to all", {"images": told.comparison.images, **common}),
        *folds,
    )
    return Section("provenance", "What it was made of", parts)


def _table(key: str, title: str, facts: Mapping[str, str]) -> Table:
    data = pd.DataFrame({"fact": list(facts), "value": list(facts.values())})
    columns = Column("", list(facts), number=False), Column("", list(facts.values()), number=False)
    return Table(key, title, columns, data)


def _facts(content: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Names and values as text, those of a mapping with its name before theirs."""
    told: list[tuple[str, str]] = []
    for name, value in content.items():
        called = f"{before}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            told += _facts(value, f"{called} ")
        else:
            told.append((called, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)))
    return told
