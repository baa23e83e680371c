"""What a comparison was made of, and how it is made again."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from features.datasets import Rejected
from viz.reports.compare.told import Told
from viz.reports.document import Column, Command, Download, Part, Prose, Section, Table

MOST_VALUES = 400_000  # cells of the table of images: a few MB of the file
REJECTED = 50  # that are shown


def images(told: Told) -> Section:
    """All images as a table to take away, and those that were left out."""
    table = told.comparison.table()
    said: Part = Download("images", "Every image with what each network says of it", table)
    if table.size > MOST_VALUES:
        said = Prose(
            f"A table of all {len(table):,} images with what each network says of them would be too large for this "
            "file. The command below writes it as images.parquet."
        )
    rejected = told.comparison.rejected
    return Section("images-as-data", "Images", (said, _left_out(rejected)) if rejected else (said,))


def _left_out(rejected: Sequence[Rejected]) -> Table:
    data = pd.DataFrame({"image": [each.id for each in rejected], "reason": [each.reason for each in rejected]})
    columns = tuple(Column(name, data[name].tolist()[:REJECTED], number=False) for name in data)
    more = f"The first {REJECTED} of {len(data):,}." if len(data) > REJECTED else ""
    return Table("left-out", f"Left out, since some network could not read them ({len(data):,})", columns, data, more)


def provenance(told: Told) -> Section:
    """Networks, images and software by digests and versions, and the command."""
    facts = [dict(_facts(each.provenance.as_dict())) for each in told.comparison.contenders]
    common = {name: value for name, value in facts[0].items() if all(each.get(name) == value for each in facts)}
    tables = [_table("made-of", "Common to all", {"images": told.comparison.images, **common})]
    for number, (each, known) in enumerate(zip(told.comparison.contenders, facts, strict=True), start=1):
        own = {name: value for name, value in known.items() if name not in common}
        if own:
            tables.append(_table(f"made-of-{number}", each.name, own))
    parts: tuple[Part, ...] = (
        Prose("This file is made again by"),
        Command(told.command),
        Prose("Its numbers are the same where weights, images and versions are those below.", quiet=True),
        *tables,
    )
    return Section("provenance", "What it was made of", parts)


def _table(key: str, title: str, facts: Mapping[str, str]) -> Table:
    data = pd.DataFrame({"fact": list(facts), "value": list(facts.values())})
    return Table(key, title, tuple(Column(name, data[name].tolist(), number=False) for name in data), data)


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
